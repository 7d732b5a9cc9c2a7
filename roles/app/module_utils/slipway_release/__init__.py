"""What takes a release of an app live on a machine, and back: standard library only, Python 3.11 or later.

The module app_release carries this package to the machine and writes it there as one program,
/srv/APP/bin/slipway-release, so that the program is always the one of the playbook that runs.
"""
