# What is done on a node's machine. script.rs puts values in front of this and, behind it, the operator's own commands
# and the call of `main`. Values come as single-quoted words and are only ever used in double quotes, so nothing that
# comes from elsewhere is read as shell. Plain POSIX, because it has to run on machines where nothing of ours is.
#
# `true >` and not `: >`, because a shell ends itself when a redirection of one of its special commands fails.
#
# Lines that begin with @ are for whoever started us; all others are what the commands print.

say() { printf '@%s\n' "$*"; }
fail() { say "fail $*"; exit 1; }

pg() {
    program=$1
    shift
    "${BIN_DIR:+$BIN_DIR/}$program" "$@"
}

# Whether the server runs. A dead process that nobody has buried does not, nor does another program that was given
# the number in the meantime.
runs() {
    pid=
    [ -f "$DATA_DIR/postmaster.pid" ] && read -r pid < "$DATA_DIR/postmaster.pid"
    [ -n "$pid" ] && kill -0 "$pid" 2> /dev/null || return 1
    if [ -r "/proc/$pid/stat" ]; then
        case $(cat "/proc/$pid/stat" 2> /dev/null) in *') Z '*) return 1 ;; esac
    fi
    if [ -e "/proc/$pid/cwd" ]; then
        [ "/proc/$pid/cwd" -ef "$DATA_DIR" ] || return 1
    fi
    return 0
}

has_data() { [ -f "$DATA_DIR/PG_VERSION" ] && [ -f "$DATA_DIR/global/pg_control" ]; }
must_have_data() { has_data || fail "there is no data directory at $DATA_DIR"; }
must_be_down() { ! runs || fail "the server still runs"; }

# One job at a time, also when whoever started the last one is gone.
lock() {
    mkdir -p "$WORK_DIR" || fail "cannot make $WORK_DIR; set work_dir to a directory that $(id -un) may write to"
    empty=0 waited=0
    until (set -C; echo "$$ $OP_ID" > "$WORK_DIR/lock") 2> /dev/null; do
        holder= op=
        read -r holder op < "$WORK_DIR/lock" 2> /dev/null
        if [ -n "$holder" ] && kill -0 "$holder" 2> /dev/null; then
            empty=0
            waited=$((waited + 1))
            [ "$waited" -lt "$SECONDS_MAX" ] || fail "$op is still at work here"
            # Nobody hears us any more: what was wanted then may be wrong by the time that it is our turn.
            say "waits $op" || exit 1
        else
            empty=$((empty + 1))
            # Somebody who has just made it has not written to it yet.
            [ -z "$holder" ] && [ "$empty" -lt 3 ] || rm -f "$WORK_DIR/lock"
        fi
        sleep 1
    done
    trap 'rm -f "$WORK_DIR/lock"' EXIT
}

# Clients wait for the end of it in a switchover, and pg_ctl looks ten times a second only. So it is watched from here
# for the first second.
stop_command() {
    pg pg_ctl stop -D "$DATA_DIR" -m "$STOP_MODE" -W
    looks=0
    while [ "$looks" -lt 100 ] && runs; do
        sleep 0.01 2> /dev/null || break
        looks=$((looks + 1))
    done
    ! runs || pg pg_ctl stop -D "$DATA_DIR" -m "$STOP_MODE" -w -t "$SECONDS_MAX"
}
start_command() {
    if [ -n "$START_OPTIONS" ]; then
        pg pg_ctl start -D "$DATA_DIR" -w -t "$SECONDS_MAX" -l "$LOG_FILE" -o "$START_OPTIONS"
    else
        pg pg_ctl start -D "$DATA_DIR" -w -t "$SECONDS_MAX" -l "$LOG_FILE"
    fi
}

do_stop() {
    runs || return 0
    stop_command
    ! runs || fail "the server still runs"
}

# Nothing here ever starts a primary: that is for whoever promotes.
do_start() {
    must_have_data
    [ ! -e "$WORK_DIR/unfinished" ] || fail "an earlier rewind or rebuild did not come to its end; rebuild the node"
    runs && return 0
    [ -f "$DATA_DIR/standby.signal" ] || fail "there is no standby.signal, so it would start as a primary"
    start_command
    if ! runs; then
        tail -n 15 "$LOG_FILE" 2> /dev/null
        fail "the server does not run"
    fi
}

# Puts lines in the place of those in postgresql.auto.conf that say whom to follow. A server that runs may write to that
# file in the same moment, so it stays as it is when it says that already.
set_upstream() {
    conf=$DATA_DIR/postgresql.auto.conf
    new=$conf.howdah
    pattern='^[[:space:]]*(primary_conninfo|primary_slot_name)[[:space:]=]'
    present=$(grep -E "$pattern" "$conf" 2> /dev/null | sort)
    [ "$present" != "$(printf '%s\n' "$1" | sort)" ] || return 0
    if [ -f "$conf" ]; then
        grep -Ev "$pattern" "$conf" > "$new"
    else
        true > "$new"
    fi
    printf '%s\n' "$1" >> "$new" || fail "cannot write $new"
    mv "$new" "$conf" || fail "cannot write $conf"
}

do_disarm() {
    runs || fail "the server does not run, and would be started as a primary"
    case $(pg pg_controldata -D "$DATA_DIR") in
        *'in production'*) ;;
        *) fail "the server is no primary" ;;
    esac
    rm -f "$DATA_DIR/standby.signal" || fail "cannot remove standby.signal"
    set_upstream "primary_conninfo = ''
primary_slot_name = ''"
}

do_follow() {
    must_have_data
    set_upstream "$FOLLOW"
    rm -f "$DATA_DIR/recovery.signal"
    true > "$DATA_DIR/standby.signal" || fail "cannot write standby.signal"
}

# pg_rewind and pg_basebackup bring the source's files, with the source's port, certificates and rules of access.
save_own_files() {
    mkdir -p "$WORK_DIR" || fail "cannot make $WORK_DIR"
    # Those of an interrupted run are the right ones: what is in the data directory now may be the source's.
    [ -e "$WORK_DIR/unfinished" ] && [ -d "$WORK_DIR/saved" ] && return 0
    rm -rf "$WORK_DIR/saved" "$WORK_DIR/saved.new"
    mkdir "$WORK_DIR/saved.new" || fail "cannot make $WORK_DIR/saved.new"
    for file in "$DATA_DIR"/*.conf "$DATA_DIR"/*.crt "$DATA_DIR"/*.key "$DATA_DIR"/*.crl "$DATA_DIR"/*.pem; do
        [ -f "$file" ] || continue
        cp -p "$file" "$WORK_DIR/saved.new/" || fail "cannot save $file"
    done
    mv "$WORK_DIR/saved.new" "$WORK_DIR/saved" || fail "cannot write to $WORK_DIR"
}

restore_own_files() {
    for file in "$WORK_DIR"/saved/*; do
        [ -f "$file" ] || continue
        cp -p "$file" "$DATA_DIR/" || fail "cannot restore $file"
    done
}

# The log that nobody else has: what was acknowledged and then lost can only be found there.
keep_diverged() {
    [ -n "$KEEP_FROM" ] && [ -d "$DATA_DIR/pg_wal" ] || return 0
    kept=$WORK_DIR/diverged/$OP_ID
    mkdir -p "$kept" || fail "cannot make $kept"
    for file in "$DATA_DIR"/pg_wal/????????????????????????; do
        [ -f "$file" ] || continue
        [ "$(expr "x${file##*/}" '>=' "x$KEEP_FROM")" = 1 ] || continue
        cp -p "$file" "$kept/" || fail "cannot keep $file"
    done
    for file in "$DATA_DIR"/pg_wal/*.history; do
        [ ! -f "$file" ] || cp -p "$file" "$kept/" || fail "cannot keep $file"
    done
    say "fact kept $kept"
}

do_rewind() {
    must_have_data
    must_be_down
    save_own_files
    keep_diverged
    # A crashed node is recovered first, in single-user mode, which knows no standby.
    rm -f "$DATA_DIR/standby.signal" "$DATA_DIR/recovery.signal"
    true > "$WORK_DIR/unfinished" || fail "cannot write to $WORK_DIR"
    set -- --target-pgdata="$DATA_DIR" --source-server="$SOURCE" --progress
    [ -z "$CONFIG_FILE" ] || set -- "$@" --config-file="$CONFIG_FILE"
    pg pg_rewind "$@"
    status=$?
    restore_own_files
    # Whatever has become of it, nobody is to start it as a primary.
    true > "$DATA_DIR/standby.signal"
    [ "$status" = 0 ] || fail "pg_rewind ended with status $status"
    rm -rf "$WORK_DIR/unfinished" "$WORK_DIR/saved"
}

do_rebuild() {
    must_be_down
    if [ -d "$DATA_DIR" ] && ! has_data && [ ! -e "$WORK_DIR/unfinished" ]; then
        [ -z "$(ls -A "$DATA_DIR")" ] || fail "$DATA_DIR is no data directory, and not empty"
    fi
    [ -z "$(ls -A "$DATA_DIR/pg_tblspc" 2> /dev/null)" ] || fail "the node has tablespaces; rebuild it by hand"
    mkdir -p "$DATA_DIR" && chmod go-w,o-rx "$DATA_DIR" || fail "cannot make $DATA_DIR"
    save_own_files
    keep_diverged
    # Inside of the data directory, which may be a file system of its own.
    copy=$DATA_DIR/.howdah-copy
    rm -rf "$copy"
    set -- --dbname="$SOURCE" --pgdata="$copy" --wal-method=stream --checkpoint=fast --progress --no-password
    [ -z "$SLOT" ] || set -- "$@" --slot="$SLOT"
    [ -z "$MAX_RATE" ] || set -- "$@" --max-rate="$MAX_RATE"
    if ! pg pg_basebackup "$@"; then
        rm -rf "$copy"
        fail "pg_basebackup failed; what was there before is untouched"
    fi
    true > "$WORK_DIR/unfinished" || fail "cannot write to $WORK_DIR"
    # From its first moment in its place it is a standby.
    true > "$copy/standby.signal"
    replace_by "$copy"
    restore_own_files
    rm -rf "$WORK_DIR/unfinished" "$WORK_DIR/saved"
}

replace_by() {
    wal=
    [ ! -L "$DATA_DIR/pg_wal" ] || wal=$(readlink "$DATA_DIR/pg_wal")
    for file in "$DATA_DIR"/* "$DATA_DIR"/.[!.]*; do
        [ "$file" = "$1" ] || rm -rf "$file" || fail "cannot remove $file"
    done
    if [ -n "$wal" ]; then
        # The log has a place of its own; a relative link starts at the data directory.
        cd "$DATA_DIR" || fail "cannot enter $DATA_DIR"
        mkdir -p "$wal" && rm -rf "$wal"/* || fail "cannot empty $wal"
        for file in "$1"/pg_wal/*; do
            [ ! -e "$file" ] || mv "$file" "$wal/" || fail "cannot write to $wal"
        done
        rm -rf "$1/pg_wal" && ln -s "$wal" "$1/pg_wal" || fail "cannot link pg_wal"
        cd / || fail "cannot enter /"
    fi
    for file in "$1"/* "$1"/.[!.]*; do
        [ ! -e "$file" ] && [ ! -L "$file" ] || mv "$file" "$DATA_DIR/" || fail "cannot move $file"
    done
    rmdir "$1" || fail "cannot remove $1"
}

# The log has no end mark. pg_waldump goes on until it meets what is no record, and calls that an error.
find_last_record() {
    start=$(printf '%s\n' "$control" | sed -n 's/^Latest checkpoint location: *//p')
    timeline=$(printf '%s\n' "$control" | sed -n "s/^Latest checkpoint's TimeLineID: *//p")
    checkpoint=$start
    # Since that checkpoint it may have gone on to another timeline, whose first segment repeats the end of the last.
    bytes=$(printf '%s\n' "$control" | sed -n 's/^Bytes per WAL segment: *//p')
    for file in "$DATA_DIR"/pg_wal/????????????????????????; do
        name=${file##*/}
        high=${name%????????????????}
        [ -f "$file" ] && [ "$((0x$high))" -gt "$timeline" ] 2> /dev/null || continue
        low=${name#????????????????}
        middle=${name#"$high"}
        middle=${middle%"$low"}
        timeline=$((0x$high))
        start=$(printf '%X/%X' "$((0x$middle))" "$((0x$low * bytes))")
    done
    last=$(pg pg_waldump -p "$DATA_DIR/pg_wal" -t "$timeline" -s "$start" 2> /dev/null | tail -n 1 |
        sed -n 's/.* lsn: \([0-9A-F]*\/[0-9A-F]*\),.*/\1/p')
    say "fact timeline $timeline"
    say "fact last-record ${last:-$checkpoint}"
}

look_around() {
    [ ! -e "$WORK_DIR/unfinished" ] || say "fact unfinished"
    has_data || return 0
    [ ! -f "$DATA_DIR/standby.signal" ] || say "fact standby.signal"
    [ ! -f "$DATA_DIR/backup_label" ] || say "fact backup_label"
    control=$(pg pg_controldata -D "$DATA_DIR") || fail "pg_controldata failed"
    printf '%s\n' "$control" | sed 's/^/@control /'
    if runs; then
        say "fact running"
        return 0
    fi
    find_last_record
}

main() {
    exec 2>&1
    # Whoever reads our lines may go away. A rewind that is cut short for that leaves data that nobody can use.
    trap '' PIPE HUP
    umask 077
    cd / || fail "cannot enter /"
    if [ "$STEPS" != status ]; then lock; fi
    for step in $STEPS; do
        # A command is never cut short, but nothing new is begun for somebody who is gone.
        say "step $step" || exit 1
        case $step in
            status) ;;
            stop) do_stop ;;
            start) do_start ;;
            follow) do_follow ;;
            disarm) do_disarm ;;
            rewind) do_rewind ;;
            rebuild) do_rebuild ;;
        esac
    done
    say "step status"
    look_around
    say done
}
