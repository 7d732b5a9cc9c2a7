"""How the rules for connections are put together of the fragments of all apps."""

from __future__ import annotations

from .conftest import load

rules = load("roles/postgres/filter_plugins/postgres_rules.py")

DIRECTORY = "/etc/postgresql/slipway-hba.d"


def test_the_lines_of_a_fragment_are_put_together_in_their_order():
    printed = [
        f"{DIRECTORY}/50-shop.conf:# connections: 12",
        f"{DIRECTORY}/99-reject.conf:local all all reject",
        f'{DIRECTORY}/50-shop.conf:local "shop" "shop" peer',
    ]
    assert rules.postgres_fragments(printed) == {
        "50-shop.conf": '# connections: 12\nlocal "shop" "shop" peer\n',
        "99-reject.conf": "local all all reject\n",
    }


def test_colons_within_a_line_are_kept():
    line = 'hostssl "shop" "shop" 2001:db8::1/128 scram-sha-256'
    assert rules.postgres_fragments([f"{DIRECTORY}/50-shop.conf:{line}"]) == {"50-shop.conf": f"{line}\n"}


def test_what_is_not_called_like_a_fragment_is_none():
    names = [
        "README",
        "50-shop.conf.dpkg-old",
        ".50-shop.conf",
        "5-shop.conf",
        "50-Shop.conf",
        ".slipway-x",
        "50-.CONF",
    ]
    printed = [f"{DIRECTORY}/{name}:local all all trust" for name in names]
    assert rules.postgres_fragments([*printed, "grep: something is wrong", ""]) == {}


def test_no_lines_are_no_fragments():
    assert rules.postgres_fragments([]) == {}
    assert rules.postgres_rules({}) == ""


def test_rules_stand_in_the_order_of_their_names():
    fragments = {
        "99-reject.conf": "last\n",
        "50-shop.conf": "shop\n",
        "00-superuser.conf": "first\n",
        "50-a.conf": "a\n",
    }
    assert rules.postgres_rules(fragments) == "first\na\nshop\nlast\n"


def test_both_are_filters():
    filters = rules.FilterModule().filters()
    assert filters == {"postgres_fragments": rules.postgres_fragments, "postgres_rules": rules.postgres_rules}


def test_rules_of_others_stay_behind_a_block_of_ours():
    theirs = "local all all peer\n"
    ours = rules.postgres_rules({"50-shop.conf": 'local "shop" "shop" peer\n'}, theirs)
    assert ours == f'# BEGIN slipway\nlocal "shop" "shop" peer\n# END slipway\n{theirs}'
    assert rules.postgres_rules({}, theirs) == theirs
