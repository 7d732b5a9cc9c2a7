"""A package with the WSGI object in a module of it."""
