# Keeps one mongod: sh -c "$(cat keeper.sh)" FOLDER MONGOD ARGUMENT…
# Obeys an order a line and answers each with a line. When the orders end, the tests have ended, by whatever means:
# then mongod is killed and its folder removed. That mongod is a child of this shell keeps its process id from others.

# Whoever dies of a signal cleans nothing up. The tests' end hangs up on a group with a stopped process in it.
trap '' HUP INT PIPE
pid=
while read -r order; do
    case $order in
        START) "$@" </dev/null >&2 & pid=$!; answer=$pid ;;
        KILL) kill -KILL "$pid"; wait "$pid"; pid=; answer=killed ;;
        *) kill -s "$order" "$pid"; answer=done ;;
    esac
    echo "$answer"
done
[ -z "$pid" ] || kill -KILL "$pid"
wait
rm -rf "$0"
