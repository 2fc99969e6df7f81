/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Character device "sim": a serial line to a simulator, over a sim-link.
 */
#include "qemu/osdep.h"
#include "chardev/char.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "qemu/module.h"
#include "qemu/option.h"
#include "system/sim-clock.h"
#include "system/sim-link.h"

OBJECT_DECLARE_SIMPLE_TYPE(SimChardev, CHARDEV_SIM)

struct SimChardev {
    Chardev parent;

    SimLink *link;
    uint16_t port;
    /* What the guest has not taken yet. The simulator limits it: it never sends without bounds. */
    GByteArray *pending;
};

static int sim_chr_write(Chardev *chr, const uint8_t *buf, int len)
{
    SimChardev *s = CHARDEV_SIM(chr);

    for (int done = 0; done < len; done += SIM_LINK_PAYLOAD_MAX) {
        struct iovec iov = {
            .iov_base = (void *)(buf + done),
            .iov_len = MIN(len - done, SIM_LINK_PAYLOAD_MAX),
        };

        sim_link_put(s->link, SIM_LINK_SERIAL, s->port, &iov, 1);
    }
    if (s->port == SIM_LINK_RELAY_PORT) {
        sim_clock_sent(true);
    }
    return len;
}

static void sim_chr_accept_input(Chardev *chr)
{
    SimChardev *s = CHARDEV_SIM(chr);

    while (s->pending->len > 0) {
        int room = qemu_chr_be_can_write(chr);
        int n = MIN(room, (int)s->pending->len);

        if (n <= 0) {
            break;
        }
        qemu_chr_be_write(chr, s->pending->data, n);
        g_byte_array_remove_range(s->pending, 0, n);
    }
}

static bool sim_chr_input(void *opaque, uint16_t type, const uint8_t *data, size_t length)
{
    SimChardev *s = opaque;

    g_byte_array_append(s->pending, data, length);
    sim_chr_accept_input(CHARDEV(s));
    return true;
}

static void sim_chr_open(Chardev *chr, ChardevBackend *backend, bool *be_opened, Error **errp)
{
    SimChardev *s = CHARDEV_SIM(chr);
    ChardevSim *opts = backend->u.sim.data;
    SimLink *link = sim_link_find(opts->link, errp);

    if (!link || !sim_link_add(link, SIM_LINK_SERIAL, opts->port, sim_chr_input, s, errp)) {
        return;
    }
    object_ref(OBJECT(link));
    s->link = link;
    s->port = opts->port;
    *be_opened = true;
}

static void sim_chr_parse(QemuOpts *opts, ChardevBackend *backend, Error **errp)
{
    const char *link = qemu_opt_get(opts, "link");
    const char *port = qemu_opt_get(opts, "port");
    ChardevSim *sim;
    unsigned int number;

    if (!link || !port) {
        error_setg(errp, "chardev: sim: 'link' and 'port' are required");
        return;
    }
    if (qemu_strtoui(port, NULL, 10, &number) < 0 || number > UINT16_MAX) {
        error_setg(errp, "chardev: sim: '%s' is not a port number", port);
        return;
    }
    backend->type = CHARDEV_BACKEND_KIND_SIM;
    sim = backend->u.sim.data = g_new0(ChardevSim, 1);
    qemu_chr_parse_common(opts, qapi_ChardevSim_base(sim));
    sim->link = g_strdup(link);
    sim->port = number;
}

static void sim_chr_init(Object *obj)
{
    CHARDEV_SIM(obj)->pending = g_byte_array_new();
}

static void sim_chr_finalize(Object *obj)
{
    SimChardev *s = CHARDEV_SIM(obj);

    if (s->link) {
        sim_link_remove(s->link, SIM_LINK_SERIAL, s->port);
        object_unref(OBJECT(s->link));
    }
    g_byte_array_unref(s->pending);
}

static void sim_chr_class_init(ObjectClass *oc, void *data)
{
    ChardevClass *cc = CHARDEV_CLASS(oc);

    cc->parse = sim_chr_parse;
    cc->open = sim_chr_open;
    cc->chr_write = sim_chr_write;
    cc->chr_accept_input = sim_chr_accept_input;
}

static const TypeInfo sim_chr_info = {
    .name = TYPE_CHARDEV_SIM,
    .parent = TYPE_CHARDEV,
    .instance_size = sizeof(SimChardev),
    .instance_init = sim_chr_init,
    .instance_finalize = sim_chr_finalize,
    .class_init = sim_chr_class_init,
};

static void sim_chr_register_types(void)
{
    type_register_static(&sim_chr_info);
}

type_init(sim_chr_register_types);
