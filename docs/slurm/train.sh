# Sourced by the sbatch files: runs a training that stops in good time and is put back into the queue.

# train NAME COMMAND...: runs the command, which is step02 by whatever starts it, until it ends. NAME is the run's; a job
# that was requeued goes on with it.
#
# USR1 is Slurm's warning before the time is up (#SBATCH --signal): step02 gets SIGTERM, saves and ends, and the job
# goes back into the queue. TERM (scancel --batch) saves and ends without that; so does preemption, where Slurm requeues
# by itself.
train() {
    local folder="${CHECKPOINTS_DIR:-checkpoints}/$1" requeue=no status=0 process
    shift
    set -- "$@" --checkpoints_dir "${CHECKPOINTS_DIR:-checkpoints}" --name "${folder##*/}"
    if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ] && [ -d "$folder" ]; then
        set -- "$@" --resume
    fi
    "$@" &
    process=$!
    trap 'requeue=yes; kill -TERM "$process" 2>/dev/null' USR1
    trap 'kill -TERM "$process" 2>/dev/null' TERM
    wait "$process" || status=$?
    while kill -0 "$process" 2>/dev/null; do # a trapped signal has ended the wait, not the process
        status=0
        wait "$process" || status=$?
    done
    trap - USR1 TERM
    # torchrun's status after a signal is 1, also where all was saved
    if [ "$requeue" = yes ]; then
        scontrol requeue "$SLURM_JOB_ID"
        return
    fi
    return "$status"
}
