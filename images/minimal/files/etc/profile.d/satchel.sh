# Login shells, and commands run from outside, find the desktop.
. /usr/lib/satchel/environment
