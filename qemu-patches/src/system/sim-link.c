/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The sim-link object: QEMU's end of the wire to a simulator.
 */
#include "qemu/osdep.h"
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "hw/core/cpu.h"
#include "monitor/monitor.h"
#include "qapi/error.h"
#include "qapi/qapi-types-misc.h"
#include "qapi/visitor.h"
#include "qemu/atomic.h"
#include "qemu/error-report.h"
#include "qemu/iov.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "qom/object_interfaces.h"
#include "system/cpus.h"
#include "system/sim-link.h"
#include "system/sim-sandbox.h"

#define SIM_LINK_CHANNELS 64

/* How often a sleeping VM looks whether a wake-up went astray. */
#define WAIT_CHECK_NS (NANOSECONDS_PER_SECOND)

typedef struct SimLinkChannel {
    SimLinkInput *input;
    void *opaque;
    bool used;
} SimLinkChannel;

struct SimLink {
    Object parent_obj;

    char *fd_name;
    char *state_path;
    bool sandbox;
    bool monitor;
    bool copies;
    uint64_t features; /* that the process has, or has not */
    uint64_t spin_ns;
    SimLinkLimits limits;

    uint64_t zygote; /* descriptor of the socket of one, or 0 */
    int fd;
    bool alone; /* this process has been forked, and has no main loop that would end it */
    SimLinkHeader *header;
    size_t region_size;
    uint8_t *inbox;
    uint8_t *outbox;
    uint32_t box_size;
    uint32_t out_used;
    uint32_t in_at;
    uint32_t in_length;
    bool our_turn;
    SimLinkChannel nics[SIM_LINK_CHANNELS];
    SimLinkChannel ports[SIM_LINK_CHANNELS];
    SimLinkChannel disks[SIM_LINK_CHANNELS];
};

SimLink *sim_link_find(const char *id, Error **errp)
{
    Object *obj = object_resolve_path_component(object_get_objects_root(), id);

    if (!obj || !object_dynamic_cast(obj, TYPE_SIM_LINK)) {
        error_setg(errp, "there is no sim-link object '%s'", id);
        error_append_hint(errp, "Create it with -object sim-link,id=%s,fd=...\n", id);
        return NULL;
    }
    return SIM_LINK(obj);
}

const SimLinkLimits *sim_link_limits(SimLink *link)
{
    return &link->limits;
}

const char *sim_link_state_path(SimLink *link)
{
    return link->state_path;
}

static SimLinkChannel *sim_link_channel(SimLink *link, uint16_t type, uint16_t index)
{
    if (index >= SIM_LINK_CHANNELS) {
        return NULL;
    }
    switch (type) {
    case SIM_LINK_FRAME:
    case SIM_LINK_FILTER:
    case SIM_LINK_MISSED:
    case SIM_LINK_REFUSED:
    case SIM_LINK_CREDIT:
    case SIM_LINK_CARRIER:
        return &link->nics[index];
    case SIM_LINK_SERIAL:
        return &link->ports[index];
    case SIM_LINK_DISK:
        return &link->disks[index];
    default:
        return NULL;
    }
}

bool sim_link_add(SimLink *link, uint16_t type, uint16_t index,
                  SimLinkInput *input, void *opaque, Error **errp)
{
    SimLinkChannel *channel = sim_link_channel(link, type, index);

    if (!channel) {
        error_setg(errp, "number %u is out of range (0 to %d)", index, SIM_LINK_CHANNELS - 1);
        return false;
    }
    if (channel->input) {
        error_setg(errp, "number %u is in use already", index);
        return false;
    }
    channel->input = input;
    channel->opaque = opaque;
    return true;
}

void sim_link_remove(SimLink *link, uint16_t type, uint16_t index)
{
    SimLinkChannel *channel = sim_link_channel(link, type, index);

    channel->input = NULL;
    channel->opaque = NULL;
}

bool sim_link_port_used(SimLink *link, uint16_t port)
{
    bool used = link->ports[port].used;

    link->ports[port].used = false;
    return used;
}

/* -- turns -------------------------------------------------------------------------------------- */

static void futex_wait(uint32_t *word, uint32_t value, int64_t timeout_ns)
{
    struct timespec ts = {
        .tv_sec = timeout_ns / NANOSECONDS_PER_SECOND,
        .tv_nsec = timeout_ns % NANOSECONDS_PER_SECOND,
    };

    /* Not FUTEX_PRIVATE: the word is shared with another process. */
    syscall(SYS_futex, word, FUTEX_WAIT, value, &ts, NULL, 0);
}

static void futex_wake(uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void sim_link_answer(SimLink *link, const SimLinkAnswer *answer)
{
    SimLinkHeader *h = link->header;

    assert(link->our_turn);
    h->vmTime = answer->time;
    h->deadline = answer->deadline;
    h->instructions = answer->instructions;
    h->fault = answer->fault;
    h->answer = answer->answer;
    h->outboxLength = link->out_used;
    if (answer->answer == SIM_LINK_HELLO) {
        h->features = SIM_LINK_FEATURE_BOOT | SIM_LINK_FEATURE_CREDIT | SIM_LINK_FEATURE_CARRIER |
                      SIM_LINK_FEATURE_AHEAD | SIM_LINK_FEATURE_DISK | SIM_LINK_FEATURE_COPY |
                      SIM_LINK_FEATURE_LOOK | SIM_LINK_FEATURE_TIMED |
                      SIM_LINK_FEATURE_TIMED_CPUS | SIM_LINK_FEATURE_BLOCKS | link->features |
                      (link->state_path ? SIM_LINK_FEATURE_SAVE : 0);
        h->nics = 0;
        h->ports = 0;
        for (int i = 0; i < SIM_LINK_CHANNELS; i++) {
            h->nics += link->nics[i].input != NULL;
            h->ports += link->ports[i].input != NULL;
        }
    }
    link->out_used = 0;
    link->our_turn = false;
    qatomic_store_release(&h->turn, SIM_LINK_TURN_SIMULATOR);
    smp_mb();
    if (qatomic_read(&h->simulatorSleeps)) {
        futex_wake(&h->turn);
    }
}

static bool sim_link_has_turn(SimLink *link)
{
    return qatomic_load_acquire(&link->header->turn) == SIM_LINK_TURN_VM;
}

bool sim_link_wait(SimLink *link, bool (*interrupted)(void))
{
    SimLinkHeader *h = link->header;

    if (link->spin_ns) {
        int64_t end = get_clock() + link->spin_ns;

        do {
            for (int i = 0; i < 64; i++) {
                if (sim_link_has_turn(link)) {
                    link->our_turn = true;
                    return true;
                }
                cpu_relax();
            }
        } while (get_clock() < end);
    }

    qatomic_set(&h->vmSleeps, 1);
    smp_mb();
    while (!sim_link_has_turn(link) && !(interrupted && interrupted())) {
        futex_wait(&h->turn, SIM_LINK_TURN_SIMULATOR, WAIT_CHECK_NS);
    }
    qatomic_set(&h->vmSleeps, 0);
    link->our_turn = sim_link_has_turn(link);
    return link->our_turn;
}

void sim_link_wake(SimLink *link)
{
    futex_wake(&link->header->turn);
}

SimLinkLook *sim_link_look(SimLink *link, uint32_t *number)
{
    SimLinkLook *look = (SimLinkLook *)((uint8_t *)link->header + SIM_LINK_LOOK_OFFSET);

    *number = qatomic_load_acquire(&look->asked);
    return *number != look->answered ? look : NULL;
}

void sim_link_looked(SimLinkLook *look, uint32_t number)
{
    qatomic_store_release(&look->answered, number);
}

bool sim_link_command(SimLink *link, SimLinkCommand *command)
{
    const SimLinkHeader *h = link->header;

    assert(link->our_turn);
    command->time = qatomic_read_i64(&h->time);
    command->horizon = qatomic_read_i64(&h->horizon);
    command->rate = qatomic_read_u64(&h->rate);
    command->quantum = qatomic_read_i64(&h->quantum);
    command->command = qatomic_read(&h->command);
    command->flags = qatomic_read(&h->flags);
    link->in_at = 0;
    link->in_length = qatomic_read(&h->inboxLength);
    return link->in_length <= link->box_size;
}

bool sim_link_can_copy(SimLink *link)
{
    struct stat st;

    return link->copies && fstat(link->fd, &st) == 0 && st.st_size >= 2 * (off_t)link->region_size;
}

/* In a process that was forked: the region is another part of the file that @link->fd is. */
static bool sim_link_map_own(SimLink *link, off_t offset)
{
    link->alone = true;
    return mmap(link->header, link->region_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                link->fd, offset) != MAP_FAILED;
}

bool sim_link_become_copy(SimLink *link)
{
    link->our_turn = false;
    return sim_link_map_own(link, link->region_size);
}

int sim_link_zygote(SimLink *link)
{
    return link->zygote;
}

int sim_link_fd(SimLink *link)
{
    return link->fd;
}

bool sim_link_become_machine(SimLink *link)
{
    const SimLinkHeader *h = link->header;
    struct stat st;

    if (fstat(link->fd, &st) != 0) {
        return false;
    }
    if (st.st_size < link->region_size) {
        errno = EINVAL;
        return false;
    }
    if (!sim_link_map_own(link, 0)) {
        return false;
    }
    link->zygote = 0;
    errno = EINVAL;
    return h->magic == SIM_LINK_MAGIC && h->version == SIM_LINK_VERSION &&
           h->boxSize == link->box_size;
}

static void G_NORETURN sim_link_leave(SimLink *link, int status)
{
    if (link->alone) {
        _exit(status);
    }
    exit(status);
}

/* -- records ------------------------------------------------------------------------------------ */

static void sim_link_flush_part(SimLink *link)
{
    SimLinkAnswer more = { .answer = SIM_LINK_MORE };
    uint32_t command;

    sim_link_answer(link, &more);
    /* The turn goes on: this is a device's work in the guest's own instruction, so keep the BQL. */
    sim_link_wait(link, NULL);
    command = qatomic_read(&link->header->command);
    if (command == SIM_LINK_QUIT) {
        sim_link_leave(link, 0);
    }
    if (command != SIM_LINK_CONTINUE) {
        error_report("sim-link: expected the command CONTINUE, got %u", command);
        sim_link_leave(link, 1);
    }
    /* The inbox stays as it is: there may be turns in it that are still to come. */
}

static uint8_t *sim_link_put_record(SimLink *link, uint16_t type, uint16_t index,
                                    const struct iovec *iov, int iovcnt)
{
    uint8_t *payload;
    size_t length = iov_size(iov, iovcnt);
    SimLinkRecord record = { .type = type, .channel = index, .length = length };
    uint32_t size = SimLinkRecordSize(length);

    if (link->out_used + size > link->box_size) {
        sim_link_flush_part(link);
    }
    payload = link->outbox + link->out_used + sizeof(record);
    memcpy(link->outbox + link->out_used, &record, sizeof(record));
    iov_to_buf(iov, iovcnt, 0, payload, length);
    link->out_used += size;
    return payload;
}

uint8_t *sim_link_put(SimLink *link, uint16_t type, uint16_t index,
                      const struct iovec *iov, int iovcnt)
{
    SimLinkChannel *channel = sim_link_channel(link, type, index);
    size_t length = iov_size(iov, iovcnt);

    if (!link->our_turn || !qemu_in_vcpu_thread()) {
        error_report_once("sim-link: a device sent output outside its turn; it is dropped");
        return NULL;
    }
    if (length > SIM_LINK_PAYLOAD_MAX) {
        error_report_once("sim-link: a device sent %zu bytes at once; they are dropped", length);
        return NULL;
    }
    channel->used = true;
    return sim_link_put_record(link, type, index, iov, iovcnt);
}

/* The record where the inbox has been read up to; false if it is cut off. */
static bool sim_link_peek(SimLink *link, SimLinkRecord *record)
{
    uint32_t left = link->in_length - link->in_at;

    if (left < sizeof(*record)) {
        return false;
    }
    memcpy(record, link->inbox + link->in_at, sizeof(*record));
    return record->length <= SIM_LINK_PAYLOAD_MAX && SimLinkRecordSize(record->length) <= left;
}

bool sim_link_deliver(SimLink *link)
{
    while (link->in_at < link->in_length) {
        SimLinkRecord record;
        SimLinkChannel *channel;

        if (!sim_link_peek(link, &record)) {
            return false;
        }
        if (record.type == SIM_LINK_TURN) {
            break;
        }
        channel = sim_link_channel(link, record.type, record.channel);
        if (!channel || !channel->input ||
            !channel->input(channel->opaque, record.type,
                            link->inbox + link->in_at + sizeof(record), record.length)) {
            return false;
        }
        link->in_at += SimLinkRecordSize(record.length);
    }
    return true;
}

bool sim_link_peek_turn(SimLink *link, SimLinkTurn *turn)
{
    SimLinkRecord record;

    if (!sim_link_peek(link, &record) || record.type != SIM_LINK_TURN ||
        record.length != sizeof(*turn)) {
        return false;
    }
    memcpy(turn, link->inbox + link->in_at + sizeof(record), sizeof(*turn));
    return true;
}

void sim_link_skip_turn(SimLink *link)
{
    link->in_at += SimLinkRecordSize(sizeof(SimLinkTurn));
}

void sim_link_put_turn(SimLink *link, const SimLinkTurn *turn)
{
    struct iovec iov = { .iov_base = (void *)turn, .iov_len = sizeof(*turn) };

    sim_link_put_record(link, SIM_LINK_TURN, 0, &iov, 1);
}

void sim_link_put_turn_end(SimLink *link, const SimLinkTurnEnd *end)
{
    struct iovec iov = { .iov_base = (void *)end, .iov_len = sizeof(*end) };

    sim_link_put_record(link, SIM_LINK_TURN_END, 0, &iov, 1);
}

void sim_link_put_stamp(SimLink *link, const SimLinkStamp *stamp)
{
    struct iovec iov = { .iov_base = (void *)stamp, .iov_len = sizeof(*stamp) };

    sim_link_put_record(link, SIM_LINK_STAMP, 0, &iov, 1);
}

void sim_link_put_busy_cpus(SimLink *link, const SimLinkBusyCpus *busy)
{
    struct iovec iov = { .iov_base = (void *)busy, .iov_len = sizeof(*busy) };

    sim_link_put_record(link, SIM_LINK_BUSY_CPUS, 0, &iov, 1);
}

bool sim_link_put_blocks(SimLink *link, const SimLinkBlock *blocks, size_t count)
{
    uint32_t size = count * sizeof(*blocks);
    struct iovec iov = { .iov_base = (void *)blocks, .iov_len = size };

    if (link->out_used + SimLinkRecordSize(size) > link->box_size) {
        return false;
    }
    sim_link_put_record(link, SIM_LINK_BLOCK, 0, &iov, 1);
    return true;
}

void sim_link_close_sandbox(SimLink *link)
{
    unsigned uses = (link->state_path ? SIM_SANDBOX_SAVES : 0) |
                    (link->monitor ? SIM_SANDBOX_MONITORS : 0) |
                    (link->copies ? SIM_SANDBOX_COPIES : 0);

    if (!link->sandbox) {
        return;
    }
    if (sim_sandbox_close(uses, &link->header->refused)) {
        link->features |= SIM_LINK_FEATURE_FILTER;
    } else {
        error_report("sim-link: no filter of system calls: %s", strerror(errno));
    }
}

/* -- the object --------------------------------------------------------------------------------- */

/* Files are opened before the sandbox is closed: migration takes it from a set of descriptors. */
static void sim_link_open_state(SimLink *link, Error **errp)
{
    int fd = qemu_create(link->state_path, O_WRONLY | O_TRUNC, 0600, errp);
    AddfdInfo *info;

    if (fd < 0) {
        return;
    }
    info = monitor_fdset_add_fd(fd, false, 0, NULL, errp);
    if (!info) {
        close(fd);
        return;
    }
    g_free(link->state_path);
    link->state_path = g_strdup_printf("/dev/fdset/%" PRId64, info->fdset_id);
    qapi_free_AddfdInfo(info);
}

static void sim_link_complete(UserCreatable *uc, Error **errp)
{
    SimLink *link = SIM_LINK(uc);
    SimLinkHeader *h;
    struct stat st;
    int fd;

    if (!link->fd_name) {
        error_setg(errp, "sim-link needs the parameter 'fd'");
        return;
    }
    fd = monitor_fd_param(monitor_cur(), link->fd_name, errp);
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "sim-link: file descriptor %d", fd);
        return;
    }
    if (st.st_size < SIM_LINK_HEADER_SIZE) {
        error_setg(errp, "sim-link: file descriptor %d holds no sim-link region", fd);
        return;
    }
    h = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (h == MAP_FAILED) {
        error_setg_errno(errp, errno, "sim-link: cannot map file descriptor %d", fd);
        return;
    }
    /* Kept for the copy's region. */
    qemu_set_cloexec(fd);
    link->fd = fd;
    link->header = h;
    link->region_size = st.st_size;
    link->box_size = h->boxSize;
    if (h->magic != SIM_LINK_MAGIC) {
        error_setg(errp, "sim-link: file descriptor %d holds no sim-link region", fd);
    } else if (h->version != SIM_LINK_VERSION) {
        error_setg(errp, "sim-link: the simulator speaks version %u, this QEMU version %u",
                   h->version, SIM_LINK_VERSION);
        error_append_hint(errp, "Rebuild the one that is older.\n");
    } else if (link->box_size < SIM_LINK_BOX_MIN || link->box_size > SIM_LINK_BOX_MAX ||
               link->box_size % 8 || SimLinkRegionSize(link->box_size) != link->region_size) {
        error_setg(errp, "sim-link: a region of %zu bytes cannot have boxes of %u bytes",
                   link->region_size, link->box_size);
    }
    link->inbox = (uint8_t *)h + SIM_LINK_HEADER_SIZE;
    link->outbox = link->inbox + link->box_size;
    /* The first turn is the VM's. */
    link->our_turn = true;
    if (link->zygote && (link->zygote > INT_MAX || fcntl(link->zygote, F_SETFD, FD_CLOEXEC) != 0)) {
        error_setg(errp, "sim-link: there is no file descriptor %" PRIu64, link->zygote);
    }
    if (link->state_path) {
        sim_link_open_state(link, errp);
    }
}

static char *sim_link_get_fd(Object *obj, Error **errp)
{
    return g_strdup(SIM_LINK(obj)->fd_name);
}

static void sim_link_set_fd(Object *obj, const char *value, Error **errp)
{
    SimLink *link = SIM_LINK(obj);

    if (link->header) {
        error_setg(errp, "fd of a sim-link cannot be changed");
        return;
    }
    g_free(link->fd_name);
    link->fd_name = g_strdup(value);
}

static char *sim_link_get_state(Object *obj, Error **errp)
{
    return g_strdup(SIM_LINK(obj)->state_path);
}

static void sim_link_set_state(Object *obj, const char *value, Error **errp)
{
    SimLink *link = SIM_LINK(obj);

    g_free(link->state_path);
    link->state_path = g_strdup(value);
}

static bool sim_link_get_sandbox(Object *obj, Error **errp)
{
    return SIM_LINK(obj)->sandbox;
}

static void sim_link_set_sandbox(Object *obj, bool value, Error **errp)
{
    SIM_LINK(obj)->sandbox = value;
}

static bool sim_link_get_monitor(Object *obj, Error **errp)
{
    return SIM_LINK(obj)->monitor;
}

static void sim_link_set_monitor(Object *obj, bool value, Error **errp)
{
    SIM_LINK(obj)->monitor = value;
}

static bool sim_link_get_copies(Object *obj, Error **errp)
{
    return SIM_LINK(obj)->copies;
}

static void sim_link_set_copies(Object *obj, bool value, Error **errp)
{
    SIM_LINK(obj)->copies = value;
}

static void sim_link_get_number(Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
    uint64_t value = *(uint64_t *)((char *)obj + (uintptr_t)opaque);

    visit_type_uint64(v, name, &value, errp);
}

static void sim_link_set_number(Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
    uint64_t value;

    if (!visit_type_uint64(v, name, &value, errp)) {
        return;
    }
    if (value > INT64_MAX) {
        error_setg(errp, "%s is too large", name);
        return;
    }
    *(uint64_t *)((char *)obj + (uintptr_t)opaque) = value;
}

static void sim_link_init(Object *obj)
{
    SimLink *link = SIM_LINK(obj);

    link->fd = -1;
    link->limits = (SimLinkLimits) {
        .boot_slice = 100 * 1000 * 1000,
        .busy_instructions = 50 * 1000 * 1000,
        .busy_reads = 2 * 1000,
        .busy_step = 100 * 1000,
        .tsc_step = 1000,
    };
    link->sandbox = true;
}

static void sim_link_finalize(Object *obj)
{
    SimLink *link = SIM_LINK(obj);

    if (link->header) {
        munmap(link->header, link->region_size);
    }
    if (link->fd >= 0) {
        close(link->fd);
    }
    g_free(link->fd_name);
    g_free(link->state_path);
}

static void sim_link_class_init(ObjectClass *oc, void *data)
{
    static const struct {
        const char *name;
        size_t offset;
    } numbers[] = {
        { "boot-slice", offsetof(SimLink, limits.boot_slice) },
        { "busy-instructions", offsetof(SimLink, limits.busy_instructions) },
        { "busy-reads", offsetof(SimLink, limits.busy_reads) },
        { "busy-step", offsetof(SimLink, limits.busy_step) },
        { "tsc-step", offsetof(SimLink, limits.tsc_step) },
        { "spin", offsetof(SimLink, spin_ns) },
        { "zygote", offsetof(SimLink, zygote) },
    };

    USER_CREATABLE_CLASS(oc)->complete = sim_link_complete;
    object_class_property_add_str(oc, "fd", sim_link_get_fd, sim_link_set_fd);
    object_class_property_add_str(oc, "state", sim_link_get_state, sim_link_set_state);
    object_class_property_add_bool(oc, "sandbox", sim_link_get_sandbox, sim_link_set_sandbox);
    object_class_property_add_bool(oc, "monitor", sim_link_get_monitor, sim_link_set_monitor);
    object_class_property_add_bool(oc, "copies", sim_link_get_copies, sim_link_set_copies);
    for (int i = 0; i < ARRAY_SIZE(numbers); i++) {
        object_class_property_add(oc, numbers[i].name, "uint64", sim_link_get_number,
                                  sim_link_set_number, NULL, (void *)numbers[i].offset);
    }
}

static const TypeInfo sim_link_info = {
    .name = TYPE_SIM_LINK,
    .parent = TYPE_OBJECT,
    .instance_size = sizeof(SimLink),
    .instance_init = sim_link_init,
    .instance_finalize = sim_link_finalize,
    .class_init = sim_link_class_init,
    .interfaces = (InterfaceInfo[]) { { TYPE_USER_CREATABLE }, {} },
};

static void sim_link_register_types(void)
{
    type_register_static(&sim_link_info);
}

type_init(sim_link_register_types)
