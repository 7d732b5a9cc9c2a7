"""What takes a release of an app live on a machine, and back: standard library only, Python 3.11 or later.

The action app_release makes one program of this package, which the module of that name writes to
/srv/APP/bin/slipway-release, so that the program is always the one of the playbook that runs.
"""
