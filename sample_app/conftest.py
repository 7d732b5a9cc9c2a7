"""Being here puts sample_app/ on the import path, wherever pytest is started."""
