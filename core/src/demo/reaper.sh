# Stops every server that keeps its process number below the folder "$1" and removes the folder, as
# soon as standard input closes: on purpose, or because the process at the other end has died.
trap '' HUP INT TERM
cd /
read -r _

# Whether process $1 has our folder on its command line. Process numbers get used again.
ours() {
    { tr '\0' ' ' <"/proc/$1/cmdline" || ps -o args= -p "$1"; } 2>/dev/null | grep -qF -e "$folder"
}

# A postmaster that was killed leaves its System V segment; its number is in line 7 of the file.
release_segment() {
    awk -v key="$1" -v id="$2" '$1 == key && $2 == id && $7 == 0 { print $2 }' /proc/sysvipc/shm |
        while read -r id; do ipcrm -m "$id"; done
}

folder=$1
running=
for file in "$folder"/*/postmaster.pid "$folder"/*.pid; do
    [ -e "$file" ] || continue
    pid=$(head -n 1 "$file")
    if ours "$pid"; then
        kill -CONT "$pid"
        kill -QUIT "$pid"
        running="$running $pid"
    else
        # shellcheck disable=SC2046  # two words: key and number
        release_segment $(sed -n 7p "$file") 2>/dev/null
    fi
done

for pid in $running; do
    tenths=0
    while ours "$pid"; do
        [ "$tenths" -eq 100 ] && kill -KILL "$pid"
        tenths=$((tenths + 1))
        sleep 0.1
    done
done 2>/dev/null
rm -rf "$folder" 2>/dev/null || { sleep 1; rm -rf "$folder"; }
