# Sourced by scripts/speak and scripts/test, which set `root`, the checkout.
#
# `set_up speak` or `set_up everything` leaves a .venv that holds what is asked for, and does nothing where it does
# already. All it says goes to stderr, a line before each step with what it does and about how long that takes, and one
# in the end with the seconds it took; it reads no input. Exit codes are those of tts: 3 where this machine lacks
# something, 1 where the work fails.
#
# .venv/setup-state is one line: what is in there ("speak" or "everything"), the checksum of pyproject.toml it was
# installed from, and the checkout's path, which a venv does not survive a change of. "unfinished" means that a set-up
# was killed half-way: that venv is made anew.

venv=${root:?}/.venv
state_file=$venv/setup-state
log=$venv/setup.log
cpu_index=https://download.pytorch.org/whl/cpu

set_up() {
    wanted=$1
    is_ready && return
    { find_python; take_lock; } </dev/null
    # Whoever held the lock may have done our work.
    if ! is_ready; then
        trap 'say "Interrupted; the next run starts the set-up again."; exit 130' INT TERM HUP
        : >"$log"
        began=$(date +%s)
        { install_system_packages; make_venv; install_packages; } </dev/null
        say "Set up in $(($(date +%s) - began)) s."
        trap - INT TERM HUP
    fi
    exec 9>&-
}

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "$2"
    exit "$1"
}

is_ready() {
    checksum=$(cksum <"$root/pyproject.toml")
    state=
    [ ! -f "$state_file" ] || read -r state <"$state_file" || :
    [ "$state" = "everything $checksum $root" ] || [ "$state" = "$wanted $checksum $root" ]
}

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
        # By running it: a name on the PATH may be a version manager's stub with nothing behind it. Its base, because
        # an activated .venv must not be asked to make itself anew.
        python=$("$name" -c 'import sys; sys.version_info < (3, 10) and sys.exit(1); print(sys._base_executable)' \
            2>/dev/null) && return
    done
    fail 3 "Python 3.10 or newer is needed: install it (Debian: apt-get install python3; macOS: brew install python)."
}

# The lock is the open file itself: the kernel lets go of it when this shell and its children have ended, however that
# comes about, so none can be left behind. Python takes it because macOS has no flock command.
take_lock() {
    { mkdir -p "$venv" && touch "$venv/setup.lock"; } 2>/dev/null ||
        fail 1 "Cannot write to $venv: use a checkout of your own."
    exec 9>>"$venv/setup.lock"
    lock='import fcntl, sys; fcntl.flock(9, fcntl.LOCK_EX | int(sys.argv[1]))'
    "$python" -c "$lock" 4 2>/dev/null && return # 4 is LOCK_NB
    say "Another set-up is at work in this checkout; waiting for it."
    "$python" -c "$lock" 0
}

install_system_packages() {
    [ "$(uname -s)" = Linux ] || return 0 # elsewhere PortAudio comes in a wheel
    missing=
    "$python" -c 'import ctypes.util, sys; sys.exit(not ctypes.util.find_library("portaudio"))' ||
        missing=libportaudio2
    can_make_venv || missing="$missing $("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    if [ "$wanted" = everything ] && command -v dpkg-query >/dev/null; then
        browser= # Ubuntu has no such package; the tests of the page are skipped there
        ! grep -qs '^ID=debian' /etc/os-release || browser=chromium
        for package in pulseaudio pulseaudio-utils libasound2-plugins fish speech-dispatcher tmux vim zsh $browser; do
            dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
                missing="$missing $package"
        done
    fi
    missing=${missing# }
    [ -n "$missing" ] || return 0

    if ! command -v apt-get >/dev/null; then
        remedy="install what Debian calls $missing with this system's package manager"
    else
        remedy="run as root: apt-get update && apt-get install -y $missing"
        if as_root true; then
            say "Installing $missing: about half a minute ..."
            # A fresh system has no package lists yet, an old one has stale ones.
            apt_install || { as_root apt-get update >>"$log" 2>&1 && apt_install; } && return
        fi
    fi
    [ "$wanted" = speak ] || fail 3 "The tests need more than this machine has; $remedy"
    can_make_venv || fail 3 "This Python cannot make a venv; $remedy"
    say "PortAudio, which plays sound, is missing; $remedy"
}

can_make_venv() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@" 2>/dev/null
    fi
}

apt_install() {
    # shellcheck disable=SC2086  # names of packages, one word each
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 \
        install -y --no-install-recommends $missing >>"$log" 2>&1
}

# Keeps a venv that works, whoever made it; one that was left unfinished, was moved or has lost its Python goes.
make_venv() {
    case $state in
        "" | *[0-9]" $root") works='import pip, sys; sys.exit(sys.version_info < (3, 10))' ;;
        *) works='raise SystemExit(1)' ;;
    esac
    "$venv/bin/python" -c "$works" 2>/dev/null && return

    say "Creating .venv with $("$python" --version): some seconds ..."
    echo unfinished >"$state_file"
    state=
    (cd "$venv" && rm -rf bin include lib lib64 share pyvenv.cfg)
    "$python" -m venv "$venv" >>"$log" 2>&1 || fail 1 "Creating .venv failed: $(tail -n 1 "$log")"
}

install_packages() {
    echo unfinished >"$state_file"
    if [ "$wanted" = speak ]; then
        say "Installing what speaking needs (about 50 MB to load), once: half a minute to two minutes ..."
        set -- .
    elif cpu_is_enough; then
        say "Installing Chatterbox, torch for the CPU, the server, Ray and the test tools (about 2.3 GB on disk), once: 2 to 10 minutes ..."
        pip_install '.[chatterbox,cluster,serve,test]' --extra-index-url "$cpu_index" && installed && return
        say "That failed; once more, with PyPI alone (up to 7 GB on disk): 3 to 15 minutes ..."
        set -- '.[chatterbox,cluster,serve,test]'
    else
        say "Installing Chatterbox, torch, the server, Ray and the test tools (up to 7 GB on disk), once: 3 to 15 minutes ..."
        set -- '.[chatterbox,cluster,serve,test]'
    fi
    pip_install "$@" && installed && return
    # pip loads everything before it changes anything: what was there still is.
    echo "$state" >"$state_file"
    if grep -Eq 'NewConnectionError|NameResolutionError|Connect(ion)?Timeout|\(from versions: none\)' "$log"; then
        fail 1 "The package index cannot be reached: connect this machine to the network, then run this again."
    fi
    reason=$(grep -Ei '^ *[a-z._]*(error|exception): ' "$log" | tail -n 1)
    fail 1 "Installing failed: ${reason:-pip stopped} (all of it: $log)"
}

installed() {
    echo "$wanted $checksum $root" >"$state_file"
}

# For Linux on x86-64, PyPI's torch brings CUDA's packages, which are more than half of all and which nothing uses
# without an NVIDIA driver. PyTorch's own index has the same version as 2.6.0+cpu, which pip prefers. Where that index
# cannot be reached, PyPI's serves as well.
cpu_is_enough() {
    [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] || return
    [ ! -e /proc/driver/nvidia ] && ! command -v nvidia-smi >/dev/null || return
    "$venv/bin/python" -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' \
        "$cpu_index/torch/" 2>/dev/null
}

pip_install() (
    cd "$root" || exit
    if [ -t 2 ]; then
        "$venv/bin/python" -m pip install -e "$@" >&2 2>>"$log"
    else
        "$venv/bin/python" -m pip install -q -e "$@" >>"$log" 2>&1
    fi
)
