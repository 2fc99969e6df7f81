/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Saving a simulated machine: a migration into a file, without the memory.
 */
#include "qemu/osdep.h"
#include "block/aio.h"
#include "migration/misc.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-migration.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "system/sim-save.h"

static struct {
    char *uri;
    SimSaveDone *done;
    NotifierWithReturn migration;
} save;

static int sim_save_migration(NotifierWithReturn *notifier, MigrationEvent *event, Error **errp)
{
    if (event->type == MIG_EVENT_PRECOPY_DONE || event->type == MIG_EVENT_PRECOPY_FAILED) {
        save.done(event->type == MIG_EVENT_PRECOPY_DONE);
    }
    return 0;
}

static void sim_save_begin(void *opaque)
{
    Error *err = NULL;

    migration_add_notifier(&save.migration, sim_save_migration);
    qmp_migrate(save.uri, false, NULL, false, false, false, false, &err);
    if (err) {
        error_report_err(err);
        save.done(false);
    }
}

void sim_save(const char *path, SimSaveDone *done)
{
    save.uri = g_strconcat("file:", path, NULL);
    save.done = done;
    /* A migration stops the vCPUs, which their own thread cannot wait for. */
    aio_bh_schedule_oneshot(qemu_get_aio_context(), sim_save_begin, NULL);
}
