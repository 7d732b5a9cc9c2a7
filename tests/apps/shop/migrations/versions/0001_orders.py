"""Create the table of orders."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    """Make the table."""
    op.create_table("orders", sa.Column("id", sa.String(36), primary_key=True))


def downgrade():
    """Drop it."""
    op.drop_table("orders")
