/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The simulated clock and the vCPUs' turns: what QEMU does with the commands of a sim-link.
 */
#include "qemu/osdep.h"
#include "block/aio.h"
#include "exec/cpu-common.h"
#include "exec/cputlb.h"
#include "exec/target_page.h"
#include "exec/tb-flush.h"
#include "hw/core/cpu.h"
#include "qapi/error.h"
#include "qemu/atomic.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/seqlock.h"
#include "qemu/timer.h"
#include "system/cpu-timers.h"
#include "system/cpu-timers-internal.h"
#include "system/cpus.h"
#include "system/runstate.h"
#include "system/sim-clock.h"
#include "system/sim-code.h"
#include "system/sim-copy.h"
#include "system/sim-cpus.h"
#include "system/sim-link.h"
#include "system/sim-pace.h"
#include "system/sim-save.h"
#include "system/sim-zygote.h"

SimClockMode sim_clock_mode;

/*
 * A guest that waits for its clock in a loop is brought on in steps. They grow with the time that it
 * has waited, so that it is late by a small part of that, and a long wait takes few steps. Once it is
 * known to wait, it need not read the clock so often to prove it again.
 */
enum {
    WAIT_STEP_NS = 1000,
    WAIT_STEPS_PER_WAIT = 64,
    WAIT_READS_DIVISOR = 20,
};

/*
 * A machine whose computing takes time, from the first turn on that says so. What the relay is asked
 * for takes none, so the clock stands still in some of its turns.
 */
static struct {
    bool on;
    bool turn;       /* this turn takes time */
    bool goes;       /* and the guest's instructions have begun to */
    bool request;    /* this one takes none, and is over when the relay has said something */
    bool sent;       /* the guest has sent what ends this turn */
    int64_t horizon; /* ns, at which it ends */
    int64_t seen;    /* ns: what a vCPU has read is over for all of them */
    SimPace pace;
} timed;

static struct {
    SimLink *link;
    const SimLinkLimits *limits;
    Notifier shutdown;
    QemuSemaphore drained;

    bool said_hello;
    /* Our turn is over, and the next has not come yet. */
    bool waiting;
    /* The machine is being saved: the turn is the main loop's, which answers. */
    bool saving;
    bool announced;
    /* This process was forked, and has no main loop. */
    bool alone;
    /* ... as a copy of a machine. */
    bool copy;

    SimLinkAnswer last; /* as the simulator has been told */

    /* Several turns, one after the other. */
    bool ahead;
    bool in_turn;        /* one of them has begun */
    bool early;          /* they end before their time */
    uint32_t turns_left;
    int64_t horizon;     /* ns */

    int64_t now;         /* ns, the clock while it is locked */
    int64_t tsc;         /* ns, the TSC's last reading */
    int64_t turn_start;  /* instructions */
    uint64_t reads;      /* of the clock, by the guest, in this turn */
    uint64_t reads_max;  /* in this turn */
    int64_t waiting_since; /* ns, when the guest first used up its readings and has not slept since */
    bool guest_waits;
} sim;

/* -- time --------------------------------------------------------------------------------------- */

/* Is it the guest's own instruction that reads a clock? */
static bool guest_reads(void)
{
    return current_cpu && current_cpu->running;
}

bool sim_clock_stands_still(void)
{
    return sim_clock_locked() && !timed.on;
}

bool sim_clock_takes_time(void)
{
    return timed.on || timed.request;
}

bool sim_clock_interrupted_by_timers(void)
{
    /* What arms a timer in between is followed by a look at all of them. */
    return timed.goes && guest_reads();
}

static int64_t paced_ns(void)
{
    return sim_pace_time(&timed.pace, sim_cpus_elapsed(icount_get_raw()));
}

int64_t sim_clock_get_ns(void)
{
    if (timed.goes) {
        if (guest_reads()) {
            timed.seen = MAX(timed.seen, paced_ns());
            return timed.seen;
        }
        return paced_ns();
    }
    if (guest_reads() && ++sim.reads == sim.reads_max) {
        cpu_exit(current_cpu);
    }
    return qatomic_read_i64(&sim.now);
}

int64_t sim_clock_device_ns(void)
{
    return sim_clock_locked() && !timed.goes ? qatomic_read_i64(&sim.now)
                                             : qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
}

int64_t sim_clock_get_ticks(void)
{
    int64_t now = timed.goes ? sim_clock_get_ns() : qatomic_read_i64(&sim.now);
    int64_t step = timed.goes ? 0 : timed.on ? 1 : (int64_t)sim.limits->tsc_step;

    if (!guest_reads()) {
        return MAX(now, sim.tsc);
    }
    sim.tsc = MAX(now, sim.tsc + step);
    return sim.tsc;
}

static int64_t instructions(void)
{
    return qatomic_read_i64(&timers_state.qemu_icount);
}

static int64_t next_timer(void)
{
    int64_t delta = qemu_clock_deadline_ns_all(QEMU_CLOCK_VIRTUAL, ~QEMU_TIMER_ATTR_EXTERNAL);

    return delta < 0 ? SIM_LINK_NO_DEADLINE : qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + delta;
}

int64_t sim_clock_instruction_limit(void)
{
    int64_t limit = sim.turn_start + (int64_t)sim.limits->busy_instructions - instructions();

    if (sim_cpus_in_rounds()) {
        return INT32_MAX; /* the round's end is nearer, and may be behind that of the turn */
    }
    return timed.goes ? sim_clock_instructions_until_event(instructions(), limit) : limit;
}

int64_t sim_clock_instructions_until_event(int64_t elapsed, int64_t limit)
{
    return sim_pace_instructions_until(&timed.pace, elapsed, MIN(timed.horizon, next_timer()), limit);
}

static void run_timers(int64_t until)
{
    qatomic_set_i64(&sim.now, until);
    while (qemu_clock_deadline_ns_all(QEMU_CLOCK_VIRTUAL, QEMU_TIMER_ATTR_ALL) == 0 &&
           qemu_clock_run_timers(QEMU_CLOCK_VIRTUAL)) {
        /* A timer may have armed another that is due already. */
    }
}

/* The guest computes and a timer has come due. */
static bool run_due_timers(void)
{
    bool any = false;

    while (qemu_clock_deadline_ns_all(QEMU_CLOCK_VIRTUAL, QEMU_TIMER_ATTR_ALL) == 0 &&
           qemu_clock_run_timers(QEMU_CLOCK_VIRTUAL)) {
        any = true;
    }
    return any;
}

/* Free clock: nothing happens before the next timer, so it may as well be now. */
static void skip_idle_time(void)
{
    int64_t delta = qemu_clock_deadline_ns_all(QEMU_CLOCK_VIRTUAL, ~QEMU_TIMER_ATTR_EXTERNAL);

    seqlock_write_lock(&timers_state.vm_clock_seqlock, &timers_state.vm_clock_lock);
    qatomic_set_i64(&timers_state.qemu_icount_bias, timers_state.qemu_icount_bias + delta);
    seqlock_write_unlock(&timers_state.vm_clock_seqlock, &timers_state.vm_clock_lock);
    qemu_clock_run_timers(QEMU_CLOCK_VIRTUAL);
}

/* -- a look at the guest ------------------------------------------------------------------------ */

/*
 * Read what a look is for. Memory only, so that it has no effect, and by a walk through the guest's
 * page tables that leaves no trace in them.
 */
static uint32_t look_at(CPUState *cpu, uint64_t address, uint8_t *data, uint32_t length)
{
    uint32_t found = 0;

    while (found < length) {
        vaddr at = address + found;
        uint32_t offset = at & ~TARGET_PAGE_MASK;
        uint32_t part = MIN(length - found, TARGET_PAGE_SIZE - offset);
        hwaddr page = cpu_get_phys_page_debug(cpu, at & TARGET_PAGE_MASK);

        if (page == -1 || cpu_physical_memory_is_io(page)) {
            break;
        }
        cpu_physical_memory_read(page + offset, data + found, part);
        found += part;
    }
    return found;
}

/*
 * The simulator waits for long and wants to know for what. Between two translated blocks, where the
 * guest is whole; which ones makes no difference to it.
 */
static void show_guest(void)
{
    uint32_t number;
    SimLinkLook *look = sim_link_look(sim.link, &number);
    CPUState *cpu = sim_cpus_current();

    if (look) {
        look->pc = cpu->cc->get_pc(cpu);
        look->instructions = instructions();
        look->found = look_at(cpu, look->address, look->data,
                              MIN(look->length, SIM_LINK_LOOK_MAX));
        sim_link_looked(look, number);
    }
}

static void on_look(int number)
{
    if (first_cpu) {
        cpu_exit(sim_cpus_current()); /* leave the translated code; sim_clock_before_run() comes next */
    }
}

/* -- turns -------------------------------------------------------------------------------------- */

static bool stopping(void)
{
    return !runstate_is_running() || first_cpu->stop || cpu_is_stopped(first_cpu);
}

static bool attention_needed(void)
{
    CPUState *cpu;

    CPU_FOREACH(cpu) {
        if (cpu->stop || cpu->stopped || !cpu_work_list_empty(cpu)) {
            return true;
        }
    }
    return false;
}

static void answer(uint32_t what, int64_t deadline)
{
    SimLinkAnswer a = {
        .answer = what,
        .time = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL),
        .deadline = deadline,
        .instructions = instructions(),
    };

    sim_link_answer(sim.link, &a);
    sim.last = a;
    sim.waiting = true;
}

static void fault(uint32_t reason)
{
    SimLinkAnswer a = {
        .answer = SIM_LINK_FAULT,
        .fault = reason,
        .time = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL),
        .deadline = SIM_LINK_NO_DEADLINE,
        .instructions = instructions(),
    };

    sim_link_answer(sim.link, &a);
}

static void protocol_error(const char *what)
{
    error_report("sim-link: %s", what);
    fault(SIM_LINK_FAULT_PROTOCOL);
    sim.waiting = true;
    qemu_system_shutdown_request_with_code(SHUTDOWN_CAUSE_HOST_ERROR, 1);
}

static void report_shutdown(ShutdownCause cause)
{
    switch (cause) {
    case SHUTDOWN_CAUSE_GUEST_RESET:
    case SHUTDOWN_CAUSE_SUBSYSTEM_RESET:
        fault(SIM_LINK_FAULT_RESET);
        break;
    case SHUTDOWN_CAUSE_GUEST_SHUTDOWN:
        fault(SIM_LINK_FAULT_POWEROFF);
        break;
    case SHUTDOWN_CAUSE_GUEST_PANIC:
        fault(SIM_LINK_FAULT_PANIC);
        break;
    case SHUTDOWN_CAUSE_NONE: /* it was stopped */
        fault(SIM_LINK_FAULT_DEVICE);
        break;
    case SHUTDOWN_CAUSE_HOST_QMP_QUIT:
        break; /* QUIT has no answer */
    default:
        fault(SIM_LINK_FAULT_HOST);
        break;
    }
}

/*
 * Without a main loop there is nobody who would stop the machine, switch it off or reset it: it ends
 * there. To be asked where the guest is idle, or would run.
 */
static void end_if_stopped(void)
{
    ShutdownCause cause = qemu_reset_requested_get();

    if (cause == SHUTDOWN_CAUSE_NONE) {
        cause = qemu_shutdown_requested_get();
    }
    if (!sim.alone || (cause == SHUTDOWN_CAUSE_NONE && !stopping())) {
        return;
    }
    if (!sim.waiting) {
        report_shutdown(cause);
    }
    _exit(cause == SHUTDOWN_CAUSE_HOST_ERROR ? 1 : 0);
}

static void lock_clock(void)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    sim.now = now;
    sim.tsc = now;
    sim_clock_mode = SIM_CLOCK_LOCKED;
}

static void reset_turn_limits(void)
{
    uint64_t reads = sim.limits->busy_reads;

    sim.turn_start = instructions();
    sim.reads = 0;
    sim.reads_max = sim.guest_waits ? DIV_ROUND_UP(reads, WAIT_READS_DIVISOR) : reads;
}

static void begin_turn(int64_t time, uint32_t flags)
{
    SimLinkTurn unexpected;
    CPUState *cpu;

    reset_turn_limits();
    CPU_FOREACH(cpu) {
        tlb_grow(cpu);
    }
    if (timed.on) {
        /* It may have got further than the simulator, by a part of an instruction or more. */
        time = MAX(time, sim.now);
    }
    if (time < sim.now) {
        protocol_error("the simulator's clock went backwards");
        return;
    }
    if (!(flags & SIM_LINK_RUN_TIMERS) && time > sim.now) {
        /* Timers due right now are an event of their own in the simulator. */
        run_timers(time - 1);
        qatomic_set_i64(&sim.now, time);
    } else if (flags & SIM_LINK_RUN_TIMERS) {
        run_timers(time);
    }
    if (!sim.ahead &&
        (!sim_link_deliver(sim.link) || sim_link_peek_turn(sim.link, &unexpected))) {
        protocol_error("the inbox is malformed");
    }
}

static void run_turn(const SimLinkCommand *command)
{
    int64_t before;

    if (!sim_clock_locked()) {
        lock_clock();
    }
    timed.turn = command->flags & SIM_LINK_RUN_TIMED;
    timed.request = command->flags & SIM_LINK_RUN_REQUEST;
    timed.sent = false;
    if (!timed.turn) {
        before = sim.now;
        begin_turn(command->time, command->flags);
        if (sim.now > before) {
            timed.pace.rate = 0; /* the clock has moved: nothing is left over */
        }
        return;
    }
    if (command->rate == 0 || command->rate > INT64_MAX) {
        protocol_error("a rate that no CPU has");
        return;
    }
    if (command->quantum <= 0 || command->quantum > NANOSECONDS_PER_SECOND) {
        protocol_error("a quantum that is none");
        return;
    }
    if (!timed.on) {
        timed.on = true;
        /* From now on all instructions count, and each clock reading is the last of its block. */
        tb_flush(first_cpu);
    }
    before = sim.now;
    begin_turn(command->time, command->flags);
    timed.horizon = command->horizon;
    sim_pace_go(&timed.pace, command->rate, sim.now, sim.now > before,
                sim_cpus_elapsed(instructions()));
    sim_cpus_go(MAX(1, muldiv64(command->rate, command->quantum, NANOSECONDS_PER_SECOND)));
    timed.goes = true;
}

/* Begin the next of several turns; false if there is none, or it is not certain what it is. */
static bool begin_next_turn(void)
{
    int64_t deadline = MAX(next_timer(), sim.now);
    SimLinkTurn turn;
    bool input = sim_link_peek_turn(sim.link, &turn);

    /* What the relay has said may bring a request, which comes before anything else. */
    sim.early = sim.turns_left == 0 || sim_link_port_used(sim.link, SIM_LINK_RELAY_PORT);
    if (sim.early) {
        return false;
    }
    if (deadline < (input ? turn.time : sim.horizon)) {
        turn = (SimLinkTurn) { .time = deadline, .flags = SIM_LINK_RUN_TIMERS };
        input = false;
    } else if (!input) {
        return false;
    }
    sim.turns_left--;
    sim.in_turn = true;
    sim_link_put_turn(sim.link, &turn);
    begin_turn(turn.time, turn.flags);
    if (input) {
        sim_link_skip_turn(sim.link);
        if (!sim_link_deliver(sim.link)) {
            protocol_error("the inbox is malformed");
        }
    }
    return true;
}

static void end_one_of_several(uint32_t what, int64_t deadline)
{
    SimLinkTurnEnd end = {
        .answer = what,
        .deadline = deadline,
        .instructions = instructions(),
    };

    sim_link_put_turn_end(sim.link, &end);
    sim.in_turn = false;
}

static void tell_busy_cpus(void)
{
    SimLinkBusyCpus busy = { };

    busy.count = sim_cpus_busy(busy.instructions, ARRAY_SIZE(busy.instructions));
    if (busy.count) {
        sim_link_put_busy_cpus(sim.link, &busy);
    }
}

/* The guest's instructions no longer take time. */
static void rest_clock(void)
{
    if (timed.goes) {
        qatomic_set_i64(&sim.now, sim_pace_rest(&timed.pace, sim_cpus_elapsed(instructions())));
        tell_busy_cpus();
        sim_cpus_rest();
        timed.goes = false;
    }
    timed.turn = false;
    timed.request = false;
    timed.sent = false;
}

/* The guest is idle, or has used up its turn. */
static void end_turn(uint32_t what, int64_t deadline)
{
    rest_clock();
    if (!sim.ahead) {
        answer(what, deadline);
        return;
    }
    if (sim.in_turn) {
        end_one_of_several(what, deadline);
    }
    if (what == SIM_LINK_BUSY || !begin_next_turn()) {
        sim.ahead = false;
        answer(what == SIM_LINK_BUSY || sim.early ? SIM_LINK_AHEAD_EARLY : SIM_LINK_AHEAD_OVER,
               deadline);
    }
}

static void run_ahead(const SimLinkCommand *command)
{
    if (!sim_clock_locked()) {
        protocol_error("AHEAD before the first RUN");
        return;
    }
    sim.ahead = true;
    sim.in_turn = false;
    sim.horizon = command->time;
    sim.turns_left = command->flags;
    sim_link_port_used(sim.link, SIM_LINK_RELAY_PORT);
    /* The guest is halted: the first turn begins where a turn ends. */
}

static void saved(bool success)
{
    if (success) {
        answer(SIM_LINK_SAVED, SIM_LINK_NO_DEADLINE);
    } else {
        fault(SIM_LINK_FAULT_SAVE);
    }
    sim.waiting = true;
    qemu_system_shutdown_request(SHUTDOWN_CAUSE_HOST_QMP_QUIT);
}

static void save_machine(void)
{
    const char *path = sim_link_state_path(sim.link);

    if (!path || !sim.announced) {
        protocol_error("SAVE without a file for the state, or before the guest is ready");
        return;
    }
    sim.saving = true;
    sim_save(path, saved);
}

/* What has become of the copy is all that this changes: the next turn is still to come. */
static void copy_machine(const SimLinkCommand *command)
{
    SimLinkAnswer a = sim.last;
    SimCopyResult result = SIM_COPY_MADE;

    a.answer = SIM_LINK_COPIED;
    a.fault = 0;
    sim.waiting = true;
    if (sim.copy) {
        protocol_error("a copy cannot be copied");
        return;
    }
    switch (command->flags) {
    case SIM_LINK_COPY_MAKE:
        result = sim_copy_make(sim.link);
        if (result == SIM_COPY_IS_IT) {
            sim.copy = sim.alone = true;
            return;
        }
        a.fault = result == SIM_COPY_FAILED ? errno : 0;
        break;
    case SIM_LINK_COPY_END:
        sim_copy_end();
        a.fault = ESRCH;
        break;
    default:
        a.fault = sim_copy_runs() ? 0 : ESRCH;
        break;
    }
    sim_link_answer(sim.link, &a);
}

static bool put_blocks(void *opaque, const SimLinkBlock *blocks, size_t count)
{
    return sim_link_put_blocks(sim.link, blocks, count);
}

/* This changes nothing: the next turn is still to come. */
static void tell_blocks(void)
{
    SimLinkAnswer a = sim.last;

    a.answer = SIM_LINK_TOLD;
    a.fault = 0;
    sim_code_tell(put_blocks, NULL);
    sim.waiting = true;
    sim_link_answer(sim.link, &a);
}

/*
 * Take the next turn and begin it. False if somebody needs this thread before it comes; then
 * sim.waiting stays set.
 */
static bool take_turn(void)
{
    SimLinkCommand command;
    bool taken;

    bql_unlock();
    taken = sim_link_wait(sim.link, attention_needed);
    bql_lock();
    if (!taken) {
        return false;
    }
    sim.waiting = false;
    reset_turn_limits();
    if (!sim_link_command(sim.link, &command)) {
        protocol_error("the inbox is longer than it can be");
        return true;
    }
    switch (command.command) {
    case SIM_LINK_RUN:
        run_turn(&command);
        break;
    case SIM_LINK_AHEAD:
        run_ahead(&command);
        break;
    case SIM_LINK_BOOT:
        if (sim_clock_locked()) {
            protocol_error("BOOT after the first RUN");
        }
        break;
    case SIM_LINK_SAVE:
        save_machine();
        break;
    case SIM_LINK_COPY:
        copy_machine(&command);
        break;
    case SIM_LINK_BLOCKS:
        tell_blocks();
        break;
    case SIM_LINK_QUIT:
        if (sim.alone) {
            _exit(0);
        }
        /* There is no answer, and no further turn. */
        sim.waiting = true;
        qemu_system_shutdown_request(SHUTDOWN_CAUSE_HOST_QMP_QUIT);
        break;
    default:
        protocol_error("unknown command");
        break;
    }
    return true;
}

static bool turn_used_up(void)
{
    int64_t used = instructions() - sim.turn_start;

    if (!sim_clock_locked()) {
        return used >= sim.limits->boot_slice;
    }
    return used >= sim.limits->busy_instructions || sim.reads >= sim.reads_max;
}

/* How much later a guest goes on that has used up its turn. */
static int64_t busy_step(void)
{
    int64_t now = qatomic_read_i64(&sim.now);
    int64_t step;

    if (sim.reads < sim.reads_max) {
        return sim.limits->busy_step; /* it computes */
    }
    if (!sim.guest_waits) {
        sim.guest_waits = true;
        sim.waiting_since = now;
    }
    step = MAX(WAIT_STEP_NS, (now - sim.waiting_since) / WAIT_STEPS_PER_WAIT);
    return MIN(step, (int64_t)sim.limits->busy_step);
}

static void set_drained(void *opaque)
{
    qemu_sem_post(&sim.drained);
}

/* Those who come out of this are the zygote's children, each a machine of its own. */
static void serve_as_zygote(void)
{
    /* The main loop has begun to run the machine, and may have to clear up after that. */
    aio_bh_schedule_oneshot(qemu_get_aio_context(), set_drained, NULL);
    bql_unlock();
    qemu_sem_wait(&sim.drained);
    bql_lock();
    sim_zygote_serve(sim.link);
    sim.alone = true;
}

/* Whether the turn of a guest that is not idle is over. */
static bool busy_turn_over(void)
{
    if (timed.goes && !sim_cpus_level()) {
        return false;
    }
    return timed.sent || turn_used_up() ||
           (timed.goes && qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) >= timed.horizon);
}

static void end_busy_turn(void)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    bool goes_on = timed.turn || timed.request; /* as soon as it may */

    end_turn(SIM_LINK_BUSY, goes_on ? now : MIN(now + busy_step(), next_timer()));
}

void sim_clock_sent(bool to_relay)
{
    if (timed.turn || (timed.request && to_relay)) {
        timed.sent = true;
        sim_cpus_sent();
        if (guest_reads()) {
            cpu_exit(current_cpu); /* it is the last of its block */
        }
    }
}

void sim_clock_stamp(void)
{
    SimLinkStamp stamp = { .time = timed.goes ? paced_ns() : sim.now };

    if (timed.turn && CPU_NEXT(first_cpu)) {
        sim_link_put_stamp(sim.link, &stamp);
    }
}

/* Between two rounds of slices, or where they have been run already. */
static bool timers_may_expire(void)
{
    return timed.goes && (sim_cpus_level() || sim_cpus_behind());
}

void sim_clock_before_run(void)
{
    if (!sim_clock_enabled() || stopping() || sim.saving) {
        return;
    }
    show_guest();
    if (!sim.said_hello) {
        if (sim_link_zygote(sim.link)) {
            serve_as_zygote();
        }
        sim.said_hello = true;
        sim_link_close_sandbox(sim.link);
        answer(SIM_LINK_HELLO, SIM_LINK_NO_DEADLINE);
    }
    /* Several times: to be copied is no turn, in which the guest would go on, and in one whose
     * horizon is now it does not, either. */
    for (;;) {
        if (!sim.waiting) {
            if (all_cpu_threads_idle()) {
                break;
            }
            if (busy_turn_over()) {
                end_busy_turn();
            } else if (!timers_may_expire() || !run_due_timers()) {
                break;
            }
        } else if (!take_turn()) {
            break;
        }
    }
    end_if_stopped();
}

/*
 * Bottom halves that devices have scheduled belong to the turn. They run in the main loop's thread;
 * here the guest is halted, so nothing runs beside them.
 */
static void drain_bottom_halves(void)
{
    AioContext *ctx = qemu_get_aio_context();

    while (aio_compute_timeout(ctx) == 0 && !stopping()) {
        if (sim.alone) {
            sim_copy_run_bottom_halves();
            continue;
        }
        aio_bh_schedule_oneshot(ctx, set_drained, NULL);
        bql_unlock();
        /* The main loop may be about to stop this very thread: look up from time to time. */
        qemu_sem_timedwait(&sim.drained, 10);
        bql_lock();
    }
}

bool sim_clock_idle(void)
{
    if (!sim_clock_enabled() || !sim.said_hello || sim.saving) {
        return false;
    }
    drain_bottom_halves();
    end_if_stopped();
    if (stopping()) {
        return false;
    }
    if (!all_cpu_threads_idle()) {
        return true;
    }
    if (!sim.waiting) {
        if (!sim_clock_locked()) {
            sim.announced |= sim_link_port_used(sim.link, SIM_LINK_RELAY_PORT);
            if (!sim.announced && next_timer() != SIM_LINK_NO_DEADLINE) {
                skip_idle_time();
                return true;
            }
            lock_clock();
            /* What has been translated so far counts a repeated instruction as many. */
            tb_flush(first_cpu);
        }
        sim.guest_waits = false;
        end_turn(SIM_LINK_IDLE, next_timer());
    }
    if (sim.waiting) {
        take_turn();
    }
    return !stopping() && !sim.saving;
}

void sim_clock_kick(void)
{
    if (sim_clock_enabled() && qatomic_read(&sim.waiting)) {
        sim_link_wake(sim.link);
    }
}

bool sim_clock_rests(bool running, RunState state)
{
    return sim_clock_locked() && (running || state == RUN_STATE_PAUSED || state == RUN_STATE_DEBUG ||
                                  state == RUN_STATE_SAVE_VM);
}

/* -- beginning and end -------------------------------------------------------------------------- */

static void sim_clock_shutdown(Notifier *notifier, void *data)
{
    ShutdownCause cause = *(ShutdownCause *)data;

    /* Only whoever has the turn may speak; a VM that ends out of turn is missed by its process. */
    if (!sim.said_hello || sim.waiting) {
        return;
    }
    report_shutdown(cause);
    sim.waiting = true;
}

bool sim_clock_attach(SimLink *link, Error **errp)
{
    struct sigaction look = { .sa_handler = on_look, .sa_flags = SA_RESTART };

    if (icount_enabled() != ICOUNT_PRECISE) {
        error_setg(errp, "a machine with a sim-link needs TCG and -icount shift=N");
        return false;
    }
    sim.link = link;
    sigaction(SIM_LINK_LOOK_SIGNAL, &look, NULL);
    sim.limits = sim_link_limits(link);
    qemu_sem_init(&sim.drained, 0);
    sim.shutdown.notify = sim_clock_shutdown;
    qemu_register_shutdown_notifier(&sim.shutdown);
    sim_clock_mode = SIM_CLOCK_FREE;
    return true;
}
