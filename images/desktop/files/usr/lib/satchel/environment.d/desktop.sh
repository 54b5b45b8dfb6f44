export LANG=en_US.UTF-8
# Firefox must not make user namespaces of its own for its content processes: a session refuses nested ones, and CRIU could not dump
# the IPC namespace that comes with them. Its seccomp sandbox stays.
export MOZ_ASSUME_USER_NS=0
export MOZ_CRASHREPORTER_DISABLE=1
# Settings in a file, without a daemon for them.
export GSETTINGS_BACKEND=keyfile
# No accessibility bus: programs would wait for it.
export NO_AT_BRIDGE=1 GTK_A11Y=none
export GTK_THEME=Arc
export PULSE_SERVER=unix:/run/user/1000/pulse/native
export XDG_CURRENT_DESKTOP=Satchel
export SAL_USE_VCLPLUGIN=gtk3
