/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * QEMU's end of a sim-link (see sim-link-protocol.h): the shared region, the exchange of turns, and
 * the records in its boxes. Knows nothing of clocks and vCPUs.
 */
#ifndef SYSTEM_SIM_LINK_H
#define SYSTEM_SIM_LINK_H

#include "qom/object.h"
#include "system/sim-link-protocol.h"

#define TYPE_SIM_LINK "sim-link"
OBJECT_DECLARE_SIMPLE_TYPE(SimLink, SIM_LINK)

/* What a backend does with a record that the simulator sends to it; false if it is malformed. */
typedef bool SimLinkInput(void *opaque, uint16_t type, const uint8_t *data, size_t length);

typedef struct SimLinkCommand {
    int64_t time;
    int64_t horizon;
    int64_t quantum;
    uint64_t rate;
    uint32_t command;
    uint32_t flags;
} SimLinkCommand;

typedef struct SimLinkAnswer {
    uint32_t answer;
    uint32_t fault;
    int64_t time;
    int64_t deadline;
    uint64_t instructions;
} SimLinkAnswer;

/* Limits that the user may set, see SimLinkProperties in qapi/qom.json. */
typedef struct SimLinkLimits {
    uint64_t boot_slice;
    uint64_t busy_instructions;
    uint64_t busy_reads;
    uint64_t busy_step;
    uint64_t tsc_step;
} SimLinkLimits;

SimLink *sim_link_find(const char *id, Error **errp);
const SimLinkLimits *sim_link_limits(SimLink *link);
/* The file that the machine's state is saved into, or NULL. */
const char *sim_link_state_path(SimLink *link);

/* The machine is there, with all that it needs of the host: nothing more will be had. Before the
 * hello, and before the guest's first instruction. */
void sim_link_close_sandbox(SimLink *link);

/*
 * Register a backend as NIC, serial port or disk number @index: @type is SIM_LINK_FRAME, _SERIAL or
 * _DISK. It gets all records that are for such a channel.
 */
bool sim_link_add(SimLink *link, uint16_t type, uint16_t index,
                  SimLinkInput *input, void *opaque, Error **errp);
void sim_link_remove(SimLink *link, uint16_t type, uint16_t index);

/*
 * Send a record to the simulator, in the vCPU thread during a turn. Where the outbox is full the
 * turn is handed over in parts. Output outside a turn cannot be ordered: it is a device's error, is
 * reported and dropped.
 *
 * Returns the record's payload in the outbox, or NULL if it is dropped.
 */
uint8_t *sim_link_put(SimLink *link, uint16_t type, uint16_t index,
                      const struct iovec *iov, int iovcnt);

/* Has the guest sent anything on serial port @port since the last call? */
bool sim_link_port_used(SimLink *link, uint16_t port);

/* End the turn with @answer. */
void sim_link_answer(SimLink *link, const SimLinkAnswer *answer);

/* Wait for the turn. Returns false when @interrupted says so; the turn is still to come then. */
bool sim_link_wait(SimLink *link, bool (*interrupted)(void));
/* Wake a sim_link_wait() so that it asks @interrupted. Any thread. */
void sim_link_wake(SimLink *link);

/* A look that the simulator has asked for and not had, or NULL. It may be for any address. */
SimLinkLook *sim_link_look(SimLink *link, uint32_t *number);
/* It has been filled in. */
void sim_link_looked(SimLinkLook *look, uint32_t number);
/* Is there a region for a copy of this machine? */
bool sim_link_can_copy(SimLink *link);
/* In a copy: from now on the link is that of the copy. */
bool sim_link_become_copy(SimLink *link);

/* The socket over which machines are asked for, or 0 if this is one itself. */
int sim_link_zygote(SimLink *link);
/* The descriptor of the region. */
int sim_link_fd(SimLink *link);
/* In a machine that was forked, and whose region has that descriptor: from now on it is the link's.
 * Its first turn is still to be begun. False, and errno, if it does not fit. */
bool sim_link_become_machine(SimLink *link);

/* Read the command of the turn just taken; false if it is not one. */
bool sim_link_command(SimLink *link, SimLinkCommand *command);
/*
 * Hand the records in the inbox to their backends, up to the end or to where a turn begins; false
 * if they are malformed.
 */
bool sim_link_deliver(SimLink *link);
/* Does a turn begin where sim_link_deliver() has stopped? */
bool sim_link_peek_turn(SimLink *link, SimLinkTurn *turn);
/* Go on behind the record that said so. */
void sim_link_skip_turn(SimLink *link);
/* Say in the outbox where one of several turns begins and ends. */
void sim_link_put_turn(SimLink *link, const SimLinkTurn *turn);
void sim_link_put_turn_end(SimLink *link, const SimLinkTurnEnd *end);
/* Say when the frame that follows is sent. */
void sim_link_put_stamp(SimLink *link, const SimLinkStamp *stamp);
/* Say how busy each CPU has been in the turn. */
void sim_link_put_busy_cpus(SimLink *link, const SimLinkBusyCpus *busy);
/* At most SIM_LINK_BLOCKS_MAX blocks of translated code; false if there is no room for them. */
bool sim_link_put_blocks(SimLink *link, const SimLinkBlock *blocks, size_t count);

#endif
