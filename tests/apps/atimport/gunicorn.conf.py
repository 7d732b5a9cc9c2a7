# The app's own word, which goes before the machine's.
workers = 3
threads = 2
timeout = 25
pidfile = "/run/atimport.pid"
