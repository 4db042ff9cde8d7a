# Waits until its owner is gone, ends the server in directory $1 if one is left, and removes the directory.
while read -r _; do :; done
directory=$1
pidfile=$directory/data/postmaster.pid

ours() { # $1: a process id; true if it runs and was started on our directory
    if [ -d /proc/self ]; then
        words=$(tr '\0' ' ' <"/proc/$1/cmdline")
    else
        words=$(ps -o command= -p "$1")
    fi
    case $words in *"$directory/data"*) return 0 ;; *) return 1 ;; esac
}

tries=0
while [ -s "$pidfile" ] && [ "$tries" -lt 200 ]; do
    pid=$(head -n 1 "$pidfile")
    segment=$(sed -n 7p "$pidfile" | sed 's/^ *[0-9]* *//')
    ours "$pid" || break
    [ "$tries" -eq 100 ] && kill -9 "$pid"
    [ "$tries" -eq 0 ] && kill -QUIT "$pid"
    tries=$((tries + 1))
    sleep 0.05
done
# A server that was killed outright leaves its shared memory behind.
if [ -s "$pidfile" ] && [ -n "$segment" ]; then
    ipcrm -m "$segment"
fi
# A server that had not yet written its pid file when we began may still be writing.
while [ -e "$directory" ] && [ "$tries" -lt 240 ]; do
    rm -rf "$directory"
    [ -e "$directory" ] && sleep 0.05
    tries=$((tries + 1))
done
