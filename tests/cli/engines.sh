# Bulk jobs as other programs run them: GNU parallel, here and through ssh, a Slurm job array, and the
# scripts for Slurm and Kubernetes. Workers are killed on their way. gpt2-bulk(5) has the commands for
# users. The servers are this script's own: started in its folder, on ports of their own, ended with it.
. tests/cli/cases.inc

if [ ! -f models/tales/model.safetensors ]; then
    skip "engines" "models/tales is not there"
    exit 0
fi
if [ -n "${VALGRIND:-}" ]; then
    skip "engines" "too long under valgrind"
    exit 0
fi

PATH=$PATH:/usr/sbin:/sbin
case $GPT2 in */*) GPT2=$(cd "$(dirname "$GPT2")" && pwd)/$(basename "$GPT2") ;; esac
port=$((20000 + $$ % 20000))
started='' made_run_sshd=''
finish() {
    for pid in $started; do kill "$pid" 2>/dev/null; done
    [ -S "$tmp/munge.socket" ] && munged --stop --socket="$tmp/munge.socket" 2>/dev/null
    for pid in $started; do wait "$pid" 2>/dev/null; done
    [ -n "$made_run_sshd" ] && rmdir /run/sshd
    rm -rf "$tmp"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# within SECONDS TEST...: waits until it holds; its failure is that of the wait.
within() {
    tries=$(($1 * 20))
    shift
    until "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}

# The job: slow enough to be met on its way, and whatever is done to it, these bytes.
export PARALLEL_HOME="$tmp/parallel"
slow="--cpu generic"
[ -n "${QUICK:-}" ] && slow=
for i in $(seq 24); do
    printf '{"id": %d, "prompt": "Once there was a%s %d", "max_tokens": 4}\n' "$i" "$(printf ' big%.0s' $(seq $((i % 7 + 1))))" "$i"
done >"$tmp/in"
run generate --input "$tmp/in" --output "$tmp/whole" -q
expect "the whole job" exits 0
union() {
    paste -d '\n' "$tmp/$1.0" "$tmp/$1.1" "$tmp/$1.2" 2>/dev/null | grep . >"$tmp/union"
    same "$tmp/whole" "$tmp/union"
}
# shard NAME I: a worker's command; says who it is, so that it can be killed.
cat >"$tmp/shard" <<END
#!/bin/sh
echo \$\$ >"$tmp/\$1.pid\$2"
echo start >>"$tmp/\$1.log\$2"
exec "$GPT2" generate --input "$tmp/in" --output "$tmp/\$1.\$2" --shard \$2/3 --resume -q -t 1 --parallel 2 $slow
END
chmod +x "$tmp/shard"
starts() { [ "$(wc -l <"$tmp/$1.log$2")" -eq "$3" ]; }

if command -v parallel >/dev/null; then
    parallel --pipe -k -N 5 "$GPT2" generate --input - -q <"$tmp/in" >"$tmp/union" 2>"$err"
    expect "GNU parallel --pipe -k" same "$tmp/whole" "$tmp/union"

    parallel --joblog "$tmp/joblog" -j 3 "$tmp/shard" par {} ::: 0 1 2 >"$out" 2>"$err" &
    pid=$!
    within 60 test -s "$tmp/par.1" && kill -9 "$(cat "$tmp/par.pid1")"
    wait $pid
    status=$?
    expect "GNU parallel counts the worker that was killed" exits 1
    expect "... which has left its part undone" test "$(wc -l <"$tmp/par.1")" -lt 8
    parallel --joblog "$tmp/joblog" --resume-failed -j 3 "$tmp/shard" par {} ::: 0 1 2 >"$out" 2>"$err"
    status=$?
    expect "GNU parallel --resume-failed" exits 0
    expect "... starts that one again" starts par 1 2
    expect "... and no other" starts par 0 1
    expect "... and all parts are the bytes of the whole" union par
else
    skip "GNU parallel" "parallel is not installed"
fi

# ssh to this machine, with keys that live as long as this script.
start_sshd() {
    mkdir -m 700 "$tmp/ssh" || return 1
    if [ "$(id -u)" -eq 0 ] && [ ! -d /run/sshd ]; then # Debian's sshd wants it where it is root
        mkdir -m 755 /run/sshd && made_run_sshd=yes
    fi
    ssh-keygen -q -t ed25519 -N '' -f "$tmp/ssh/host" && ssh-keygen -q -t ed25519 -N '' -f "$tmp/ssh/key" || return 1
    cp "$tmp/ssh/key.pub" "$tmp/ssh/authorized"
    printf '[127.0.0.1]:%d %s\n' $port "$(cat "$tmp/ssh/host.pub")" >"$tmp/ssh/known"
    printf '%s\n' "Port $port" "ListenAddress 127.0.0.1" "HostKey $tmp/ssh/host" "PidFile none" \
        "AuthorizedKeysFile $tmp/ssh/authorized" "StrictModes no" "UsePAM no" \
        "PasswordAuthentication no" >"$tmp/ssh/sshd_config"
    printf '%s\n' "Host here" "HostName 127.0.0.1" "Port $port" "IdentityFile $tmp/ssh/key" \
        "IdentitiesOnly yes" "UserKnownHostsFile $tmp/ssh/known" "BatchMode yes" >"$tmp/ssh/config"
    "$(command -v sshd)" -D -e -f "$tmp/ssh/sshd_config" >"$tmp/ssh/log" 2>&1 &
    started="$started $!"
    within 10 ssh -F "$tmp/ssh/config" here true 2>/dev/null </dev/null
}
if ! command -v parallel >/dev/null || ! command -v sshd >/dev/null || ! command -v ssh >/dev/null; then
    skip "GNU parallel through ssh" "parallel, ssh or sshd is not installed"
elif ! start_sshd; then
    skip "GNU parallel through ssh" "sshd cannot be used here: $(tail -n 1 "$tmp/ssh/log" 2>/dev/null)"
else
    parallel --pipe -k -N 5 -S "2/ssh -F $tmp/ssh/config here" --wd "$PWD" \
        "$GPT2" generate --input - -q <"$tmp/in" >"$tmp/union" 2>"$err"
    status=$?
    expect "GNU parallel through ssh" exits 0
    expect "... the same bytes" same "$tmp/whole" "$tmp/union"
    expect "... made through sshd" grep -q 'Accepted publickey' "$tmp/ssh/log"
fi

# A cluster of one machine. Munge is how its parts know each other.
start_slurm() {
    mkdir -m 700 "$tmp/state" "$tmp/spool" || return 1
    head -c 128 /dev/urandom >"$tmp/munge.key" && chmod 600 "$tmp/munge.key"
    munged --force --key-file="$tmp/munge.key" --socket="$tmp/munge.socket" --pid-file="$tmp/munge.pid" \
        --log-file="$tmp/munge.log" --seed-file="$tmp/munge.seed" >"$tmp/slurm.out" 2>&1 || return 1
    host=$(hostname | sed 's/\..*//')
    user=$(id -un)
    # cred_expire (5 is the least) is also how long a task that is started again has to wait
    cat >"$tmp/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$((port + 1))
SlurmdPort=$((port + 2))
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$tmp/munge.socket,cred_expire=5
StateSaveLocation=$tmp/state
SlurmdSpoolDir=$tmp/spool
SlurmctldPidFile=$tmp/slurmctld.pid
SlurmdPidFile=$tmp/slurmd.pid
SlurmctldLogFile=$tmp/slurmctld.log
SlurmdLogFile=$tmp/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=3 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=10 State=UP
END
    : >"$tmp/cgroup.conf"
    export SLURM_CONF="$tmp/slurm.conf"
    slurmctld -D >"$tmp/slurm.out" 2>&1 &
    started="$started $!"
    slurmd -D >"$tmp/slurm.out" 2>&1 &
    started="$started $!"
    within 20 idle
}
idle() { [ "$(timeout 10 sinfo -h -o %t 2>/dev/null)" = idle ]; }
no_jobs() { [ -z "$(timeout 10 squeue -h 2>&1)" ]; }

if ! command -v sbatch >/dev/null || ! command -v slurmctld >/dev/null || ! command -v slurmd >/dev/null ||
    ! command -v munged >/dev/null; then
    skip "a Slurm job array" "slurmctld, slurmd, sbatch or munged is not installed"
elif ! start_slurm; then
    skip "a Slurm job array" "Slurm does not start here: $(cat "$tmp/slurm.out" "$tmp/slurmctld.log" "$tmp/slurmd.log" 2>/dev/null | grep -i -E 'error|fatal' | tail -n 1)"
else
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nexec "%s/shard" slurm $SLURM_ARRAY_TASK_ID\n' "$tmp" >"$tmp/job"
    job=$(timeout 20 sbatch --parsable --array=0-2 --requeue --output="$tmp/slurm.out%a" "$tmp/job" 2>"$err")
    status=$?
    expect "Slurm takes a job array" exits 0
    within 60 test -s "$tmp/slurm.1" && kill -9 "$(cat "$tmp/slurm.pid1")"
    within 60 no_jobs || timeout 10 scancel "$job"
    expect "... one of its tasks is killed and leaves its part undone" test "$(wc -l <"$tmp/slurm.1")" -lt 8
    timeout 20 scontrol requeue "${job}_1" >"$err" 2>&1
    status=$?
    expect "... and is queued again" exits 0
    within 120 no_jobs || timeout 10 scancel "$job"
    cp "$tmp/slurm.out1" "$err"
    expect "... started twice" starts slurm 1 2
    expect "... the others once" starts slurm 0 1
    expect "... and all parts are the bytes of the whole" union slurm
fi

# What a task of tools/slurm-job runs, with a srun that says what it was asked for.
mkdir "$tmp/bin" "$tmp/tasks" && ln -s "$GPT2" "$tmp/bin/gpt2"
cp "$tmp/in" "$tmp/tasks/prompts.jsonl"
cat >"$tmp/bin/srun" <<'END'
#!/bin/sh
echo "$1" >>srun.log
shift
exec "$@"
END
chmod +x "$tmp/bin/srun"
job=$PWD/tools/slurm-job models=$PWD/models
task() {
    (cd "$tmp/tasks" && SLURM_ARRAY_TASK_ID=$1 SLURM_ARRAY_TASK_COUNT=3 SLURM_CPUS_PER_TASK=2 PATH="$tmp/bin:$PATH" \
        GPT2_MODELS=$models exec sh "$job") >"$out" 2>"$err"
    status=$?
}
tasks() {
    for i in 0 1 2; do
        task $i
        [ "$status" -eq 0 ] || return 1
        cp "$tmp/tasks/out.$i.jsonl" "$tmp/tasks.$i"
    done
}
expect "the Slurm script makes all shards" tasks
expect "... and they are the bytes of the whole" union tasks
expect "... with the CPUs of the task" grep -qx -e '--cpus-per-task=2' "$tmp/tasks/srun.log"
expect "... which sbatch is asked for" grep -qE '^#SBATCH --cpus-per-task=[0-9]+$' tools/slurm-job
expect "... as memory is" grep -qE '^#SBATCH --mem=' tools/slurm-job
(cd "$tmp/tasks" && PATH="$tmp/bin:$PATH" sh "$job") >"$out" 2>"$err"
expect "... and asks for an array" says 'sbatch --array=0-7 slurm-job'
rm "$tmp/bin/gpt2"
printf '#!/bin/sh\necho "$@" >args\nexit $CODE\n' >"$tmp/bin/gpt2"
chmod +x "$tmp/bin/gpt2"
export CODE=3
task 0
expect "... records with errors are no failure, for afterok" exits 0
expect "... threads are those of the task" grep -q -e ' -t 2$' "$tmp/tasks/args"
CODE=5
task 0
expect "... other statuses are the program's" exits 5
rm "$tmp/bin/gpt2"

# One naming: what goes in is prompts.jsonl, what comes out texts.jsonl and, of shards, out.N.jsonl.
"$GPT2" help bulk >"$tmp/page"
for file in "$tmp/page" tools/slurm-job tools/kubernetes-job; do
    grep -oE '[A-Za-z.0-9{}$_-]+\.jsonl|\bout\.[0-9N{$\\][^ "|,]*' "$file" | sed 's/\.$//' | sort -u >"$tmp/names"
    expect "${file##*/} reads prompts.jsonl" grep -qx 'prompts.jsonl' "$tmp/names"
    expect "... and writes out.N.jsonl" grep -qE '^out\..+\.jsonl$' "$tmp/names"
    expect "... and names no other" test -z "$(grep -vxE '(prompts|texts|out\.[^.]+)\.jsonl' "$tmp/names")"
done
# What a pod of the Kubernetes example runs, here with the folder for the volume.
mkdir "$tmp/data" && ln -s "$GPT2" "$tmp/bin/gpt2"
cp "$tmp/in" "$tmp/data/prompts.jsonl"
tools/kubernetes-job -n tales -i registry.example/gpt2:1 -v lab -c 1 -m 1Gi 5 >"$tmp/manifest" 2>"$err"
status=$?
expect "the Kubernetes script" exits 0
python=
for p in python3 /usr/bin/python3; do
    if [ -z "$python" ] && "$p" -c 'import yaml' 2>/dev/null; then python=$p; fi
done
if [ -n "$python" ]; then
    "$python" - "$tmp/manifest" >"$out" 2>"$err" <<'END'
import sys, yaml
job = yaml.safe_load(open(sys.argv[1]))
spec, pod = job["spec"], job["spec"]["template"]["spec"]
container, = pod["containers"]
assert (job["apiVersion"], job["kind"], job["metadata"]["name"]) == ("batch/v1", "Job", "tales")
assert spec["completions"] == spec["parallelism"] == 5 and spec["completionMode"] == "Indexed"
assert spec["backoffLimitPerIndex"] > 0 and "backoffLimit" not in spec
assert "--shard $JOB_COMPLETION_INDEX/5 -t 1 " in container["args"][0]
assert pod["restartPolicy"] == "Never"  # what backoffLimitPerIndex and podFailurePolicy need
assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                        "capabilities": {"drop": ["ALL"]}}
assert container["image"] == "registry.example/gpt2:1"
assert container["resources"]["requests"] == container["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}
assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "lab"
END
    status=$?
    expect "... its manifest is whole, and the number the same everywhere" exits 0
else
    skip "the Kubernetes manifest" "no python3 with yaml"
fi
expect "... says what the volume must be" grep -q 'ReadWriteMany' "$tmp/manifest"
user=$(sed -n 's/^USER \([0-9]*\):.*/\1/p' tools/container/Dockerfile | sort -u)
expect "... runs as the image's user" grep -qx "        runAsUser: $user" "$tmp/manifest"
for bad in 0 -1 x 08 '' '5 5'; do
    # shellcheck disable=SC2086
    tools/kubernetes-job -c 1 -- $bad >"$out" 2>"$err"
    status=$?
    expect "... no number of shards: '$bad'" exits 2
done
awk '/^ *- \|$/ { inside = match($0, "-") + 2; next }
     inside && match($0, /[^ ]/) < inside { exit }
     inside { print substr($0, inside) }' "$tmp/manifest" |
    sed "s,/data/model.gpt2,tales,; s,/data/,$tmp/data/,g" >"$tmp/args"
pod() { JOB_COMPLETION_INDEX=$1 PATH="$tmp/bin:$PATH" exec sh -c "$(cat "$tmp/args")"; }
ends() {
    (pod 0) >"$out" 2>"$err"
    status=$?
    exits "$1"
}
pods() {
    parts=
    for i in 0 1 2 3 4; do
        (pod $i) >"$out" 2>"$err" || return 1
        parts="$parts $tmp/data/out.$i.jsonl"
    done
    # shellcheck disable=SC2086
    paste -d '\n' $parts | grep . >"$tmp/union"
}
run generate -m tales --input "$tmp/in" --output "$tmp/named" -q
expect "the Kubernetes example makes all shards" pods
expect "... and they are the bytes of the whole" same "$tmp/named" "$tmp/union"
rm "$tmp/bin/gpt2"
printf '#!/bin/sh\nexit $CODE\n' >"$tmp/bin/gpt2"
chmod +x "$tmp/bin/gpt2"
CODE=5
expect "... its status is that of the program" ends 5
CODE=3
expect "... but records with errors are no failure" ends 0
printf '#!/bin/sh\ntrap "exit 143" TERM\necho >"%s/ready"\nwhile :; do sleep 0.05; done\n' "$tmp" >"$tmp/bin/gpt2"
(pod 0) >"$out" 2>"$err" &
pid=$!
started="$started $pid"
within 20 test -e "$tmp/ready" && kill -TERM $pid
wait $pid
status=$?
expect "... and it gets SIGTERM" exits 143
