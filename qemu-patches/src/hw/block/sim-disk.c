/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Device "sim-disk-pci": a virtio block device (virtio 1.2, 5.2) on a file that is never written.
 *
 * QEMU's own goes through its block layer, whose threads and bottom halves finish a request when
 * the host has: beside the guest, in no fixed order. This one carries a request out in the guest's
 * own notification, or at a simulated time after it, so no time of the host's is in it.
 *
 * The file is mapped privately: what is not written is the host's page cache, which all machines
 * share, and what a machine writes is memory of its own.
 */
#include "qemu/osdep.h"
#include <sys/mman.h>
#include "hw/qdev-properties.h"
#include "hw/virtio/virtio.h"
#include "hw/virtio/virtio-access.h"
#include "hw/virtio/virtio-pci.h"
#include "migration/qemu-file-types.h"
#include "qapi/error.h"
#include "qemu/bitmap.h"
#include "qemu/error-report.h"
#include "qemu/iov.h"
#include "qemu/module.h"
#include "qemu/queue.h"
#include "qemu/timer.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_ids.h"
#include "system/sim-clock.h"
#include "system/sim-link.h"

#define TYPE_SIM_DISK "sim-disk"
OBJECT_DECLARE_SIMPLE_TYPE(SimDisk, SIM_DISK)

#define SECTOR 512u

/* Of which it is known whether they have been written, and which are saved with a machine. */
#define BLOCK 4096u

#define QUEUE_SIZE 256

/* A request of the guest's also has a header and a status. */
#define SEGMENTS (QUEUE_SIZE - 2)

typedef struct SimDiskRequest {
    VirtQueueElement elem; /* first: virtqueue_pop() allocates it with what follows */
    QSIMPLEQ_ENTRY(SimDiskRequest) next;
    uint32_t type;
    uint64_t sector;
    uint64_t length; /* of the data, bytes */
} SimDiskRequest;

struct SimDisk {
    VirtIODevice parent_obj;

    char *link_id;
    uint16_t number;
    char *file;
    bool kept; /* what is written goes into the file */

    SimLink *link;
    VirtQueue *vq;
    uint8_t *data;
    uint64_t size; /* bytes */
    unsigned long *written;

    uint64_t latency; /* ns of each request */
    uint64_t rate;    /* bit/s, or 0: no limit */
    QEMUTimer *timer; /* when the first of the requests is done, if that is not at once */
    QSIMPLEQ_HEAD(, SimDiskRequest) requests;
};

static uint64_t sim_disk_blocks(SimDisk *s)
{
    return DIV_ROUND_UP(s->size, BLOCK);
}

/* -- requests ----------------------------------------------------------------------------------- */

/* What the guest has put on the queue; NULL if it is nothing that could be answered. */
static SimDiskRequest *sim_disk_take(SimDisk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    SimDiskRequest *r = virtqueue_pop(s->vq, sizeof(*r));
    struct virtio_blk_outhdr header;
    size_t in, out;

    if (!r) {
        return NULL;
    }
    in = iov_size(r->elem.in_sg, r->elem.in_num);
    out = iov_size(r->elem.out_sg, r->elem.out_num);
    if (in < 1 || iov_to_buf(r->elem.out_sg, r->elem.out_num, 0, &header, sizeof(header)) <
                      sizeof(header)) {
        virtio_error(vdev, "sim-disk: a request without header or status");
        virtqueue_detach_element(s->vq, &r->elem, 0);
        g_free(r);
        return NULL;
    }
    r->type = virtio_ldl_p(vdev, &header.type);
    r->sector = virtio_ldq_p(vdev, &header.sector);
    r->length = r->type == VIRTIO_BLK_T_OUT ? out - sizeof(header) : in - 1;
    return r;
}

static bool sim_disk_covers(SimDisk *s, const SimDiskRequest *r)
{
    uint64_t sectors = s->size / SECTOR;

    return r->length % SECTOR == 0 && r->sector <= sectors &&
           r->length / SECTOR <= sectors - r->sector;
}

static uint8_t sim_disk_carry_out(SimDisk *s, SimDiskRequest *r)
{
    VirtQueueElement *e = &r->elem;
    uint64_t at = r->sector * SECTOR;
    char id[VIRTIO_BLK_ID_BYTES] = "";

    switch (r->type) {
    case VIRTIO_BLK_T_IN:
        if (!sim_disk_covers(s, r)) {
            return VIRTIO_BLK_S_IOERR;
        }
        iov_from_buf(e->in_sg, e->in_num, 0, s->data + at, r->length);
        return VIRTIO_BLK_S_OK;
    case VIRTIO_BLK_T_OUT:
        if (!sim_disk_covers(s, r)) {
            return VIRTIO_BLK_S_IOERR;
        }
        if (r->length) {
            iov_to_buf(e->out_sg, e->out_num, sizeof(struct virtio_blk_outhdr), s->data + at,
                       r->length);
            bitmap_set(s->written, at / BLOCK,
                       (at + r->length - 1) / BLOCK - at / BLOCK + 1);
        }
        return VIRTIO_BLK_S_OK;
    case VIRTIO_BLK_T_FLUSH:
        return VIRTIO_BLK_S_OK;
    case VIRTIO_BLK_T_GET_ID:
        snprintf(id, sizeof(id), "sim-disk%u", s->number);
        r->length = MIN(r->length, sizeof(id));
        iov_from_buf(e->in_sg, e->in_num, 0, id, r->length);
        return VIRTIO_BLK_S_OK;
    default:
        return VIRTIO_BLK_S_UNSUPP;
    }
}

/* Carry the first of the requests out and answer it. */
static void sim_disk_finish_first(SimDisk *s)
{
    SimDiskRequest *r = QSIMPLEQ_FIRST(&s->requests);
    VirtQueueElement *e = &r->elem;
    size_t status_at = iov_size(e->in_sg, e->in_num) - 1;
    uint8_t status = sim_disk_carry_out(s, r);

    iov_from_buf(e->in_sg, e->in_num, status_at, &status, sizeof(status));
    virtqueue_push(s->vq, e, status_at + 1);
    QSIMPLEQ_REMOVE_HEAD(&s->requests, next);
    g_free(r);
}

/* ns; whatever the type, it is a request that the disk is busy with. */
static int64_t sim_disk_duration(SimDisk *s, const SimDiskRequest *r)
{
    bool moves = r->type == VIRTIO_BLK_T_IN || r->type == VIRTIO_BLK_T_OUT;
    unsigned __int128 bits = moves && s->rate ? (unsigned __int128)r->length * 8 : 0;
    unsigned __int128 ns = s->latency;

    if (bits) {
        ns += (bits * NANOSECONDS_PER_SECOND + s->rate - 1) / s->rate;
    }
    return MIN(ns, INT64_MAX / 4);
}

/* Finish what takes no time; then one request after the other, as a disk with one head does. */
static void sim_disk_go_on(SimDisk *s)
{
    SimDiskRequest *r;
    bool finished = false;

    while (!timer_pending(s->timer) && (r = QSIMPLEQ_FIRST(&s->requests))) {
        int64_t duration = sim_disk_duration(s, r);

        if (duration > 0) {
            timer_mod(s->timer, sim_clock_device_ns() + duration);
            break;
        }
        sim_disk_finish_first(s);
        finished = true;
    }
    if (finished) {
        virtio_notify(VIRTIO_DEVICE(s), s->vq);
    }
}

static void sim_disk_expire(void *opaque)
{
    SimDisk *s = opaque;

    sim_disk_finish_first(s);
    virtio_notify(VIRTIO_DEVICE(s), s->vq);
    sim_disk_go_on(s);
}

static void sim_disk_output(VirtIODevice *vdev, VirtQueue *vq)
{
    SimDisk *s = SIM_DISK(vdev);
    SimDiskRequest *r;

    while ((r = sim_disk_take(s))) {
        QSIMPLEQ_INSERT_TAIL(&s->requests, r, next);
    }
    sim_disk_go_on(s);
}

static bool sim_disk_input(void *opaque, uint16_t type, const uint8_t *data, size_t length)
{
    SimDisk *s = opaque;
    SimLinkDisk timing;

    if (type != SIM_LINK_DISK || length != sizeof(timing)) {
        return false;
    }
    memcpy(&timing, data, sizeof(timing));
    s->latency = timing.latency;
    s->rate = timing.rate;
    if (!s->latency && !s->rate && timer_pending(s->timer)) {
        timer_del(s->timer);
    }
    sim_disk_go_on(s);
    return true;
}

static void sim_disk_reset(VirtIODevice *vdev)
{
    SimDisk *s = SIM_DISK(vdev);
    SimDiskRequest *r;

    timer_del(s->timer);
    while ((r = QSIMPLEQ_FIRST(&s->requests))) {
        QSIMPLEQ_REMOVE_HEAD(&s->requests, next);
        virtqueue_detach_element(s->vq, &r->elem, 0);
        g_free(r);
    }
}

/* -- what it says of itself --------------------------------------------------------------------- */

static uint64_t sim_disk_get_features(VirtIODevice *vdev, uint64_t features, Error **errp)
{
    virtio_add_feature(&features, VIRTIO_BLK_F_SEG_MAX);
    virtio_add_feature(&features, VIRTIO_BLK_F_BLK_SIZE);
    virtio_add_feature(&features, VIRTIO_BLK_F_FLUSH);
    return features;
}

static void sim_disk_get_config(VirtIODevice *vdev, uint8_t *config)
{
    SimDisk *s = SIM_DISK(vdev);
    struct virtio_blk_config c = {};

    virtio_stq_p(vdev, &c.capacity, s->size / SECTOR);
    virtio_stl_p(vdev, &c.seg_max, SEGMENTS);
    virtio_stl_p(vdev, &c.blk_size, SECTOR);
    memcpy(config, &c, sizeof(c));
}

/* -- saved machines ----------------------------------------------------------------------------- */

static int sim_disk_pre_save(void *opaque)
{
    SimDisk *s = opaque;

    if (!QSIMPLEQ_EMPTY(&s->requests)) {
        error_report("sim-disk: a machine cannot be saved while its disk has something to do");
        return -EBUSY;
    }
    return 0;
}

static void sim_disk_save(VirtIODevice *vdev, QEMUFile *f)
{
    SimDisk *s = SIM_DISK(vdev);
    uint64_t blocks = sim_disk_blocks(s);

    qemu_put_be64(f, s->size);
    for (uint64_t b = find_first_bit(s->written, blocks); b < blocks;
         b = find_next_bit(s->written, blocks, b + 1)) {
        qemu_put_be64(f, b);
        qemu_put_buffer(f, s->data + b * BLOCK, MIN(BLOCK, s->size - b * BLOCK));
    }
    qemu_put_be64(f, UINT64_MAX);
}

static int sim_disk_load(VirtIODevice *vdev, QEMUFile *f, int version)
{
    SimDisk *s = SIM_DISK(vdev);
    uint64_t b;

    if (qemu_get_be64(f) != s->size) {
        error_report("sim-disk: %s has another size than when the machine was saved", s->file);
        return -EINVAL;
    }
    while ((b = qemu_get_be64(f)) != UINT64_MAX) {
        size_t length;

        if (b >= sim_disk_blocks(s)) {
            return -EINVAL;
        }
        length = MIN(BLOCK, s->size - b * BLOCK);
        if (qemu_get_buffer(f, s->data + b * BLOCK, length) != length) {
            return -EINVAL;
        }
        set_bit(b, s->written);
    }
    return 0;
}

static const VMStateDescription vmstate_sim_disk = {
    .name = TYPE_SIM_DISK,
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = sim_disk_pre_save,
    .fields = (const VMStateField[]) {
        VMSTATE_VIRTIO_DEVICE,
        VMSTATE_END_OF_LIST()
    },
};

/* -- beginning and end -------------------------------------------------------------------------- */

static bool sim_disk_map(SimDisk *s, Error **errp)
{
    int fd = open(s->file, (s->kept ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        error_setg_file_open(errp, errno, s->file);
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size % SECTOR) {
        error_setg(errp, "%s is no disk: not a file of a multiple of %u bytes", s->file, SECTOR);
        close(fd);
        return false;
    }
    s->size = st.st_size;
    s->data = mmap(NULL, s->size, PROT_READ | PROT_WRITE,
                   s->kept ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE, fd, 0);
    close(fd);
    if (s->data == MAP_FAILED) {
        error_setg_errno(errp, errno, "cannot map %s", s->file);
        s->data = NULL;
        return false;
    }
    return true;
}

static void sim_disk_realize(DeviceState *dev, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    SimDisk *s = SIM_DISK(dev);

    if (!s->link_id || !s->file) {
        error_setg(errp, "sim-disk needs the properties 'link' and 'file'");
        return;
    }
    s->link = sim_link_find(s->link_id, errp);
    if (!s->link || !sim_disk_map(s, errp)) {
        return;
    }
    if (!sim_link_add(s->link, SIM_LINK_DISK, s->number, sim_disk_input, s, errp)) {
        munmap(s->data, s->size);
        return;
    }
    object_ref(OBJECT(s->link));
    s->written = bitmap_new(sim_disk_blocks(s));
    s->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, sim_disk_expire, s);
    QSIMPLEQ_INIT(&s->requests);
    virtio_init(vdev, VIRTIO_ID_BLOCK, sizeof(struct virtio_blk_config));
    s->vq = virtio_add_queue(vdev, QUEUE_SIZE, sim_disk_output);
}

static void sim_disk_unrealize(DeviceState *dev)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(dev);
    SimDisk *s = SIM_DISK(dev);

    sim_disk_reset(vdev);
    virtio_delete_queue(s->vq);
    virtio_cleanup(vdev);
    timer_free(s->timer);
    g_free(s->written);
    munmap(s->data, s->size);
    sim_link_remove(s->link, SIM_LINK_DISK, s->number);
    object_unref(OBJECT(s->link));
}

static const Property sim_disk_properties[] = {
    DEFINE_PROP_STRING("link", SimDisk, link_id),
    DEFINE_PROP_UINT16("disk", SimDisk, number, 0),
    DEFINE_PROP_STRING("file", SimDisk, file),
    DEFINE_PROP_BOOL("kept", SimDisk, kept, false),
};

static void sim_disk_class_init(ObjectClass *oc, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);
    VirtioDeviceClass *vdc = VIRTIO_DEVICE_CLASS(oc);

    device_class_set_props(dc, sim_disk_properties);
    dc->vmsd = &vmstate_sim_disk;
    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
    vdc->realize = sim_disk_realize;
    vdc->unrealize = sim_disk_unrealize;
    vdc->get_features = sim_disk_get_features;
    vdc->get_config = sim_disk_get_config;
    vdc->reset = sim_disk_reset;
    vdc->save = sim_disk_save;
    vdc->load = sim_disk_load;
}

static const TypeInfo sim_disk_info = {
    .name = TYPE_SIM_DISK,
    .parent = TYPE_VIRTIO_DEVICE,
    .instance_size = sizeof(SimDisk),
    .class_init = sim_disk_class_init,
};

/* -- on the PCI bus ----------------------------------------------------------------------------- */

#define TYPE_SIM_DISK_PCI "sim-disk-pci-base"
OBJECT_DECLARE_SIMPLE_TYPE(SimDiskPci, SIM_DISK_PCI)

struct SimDiskPci {
    VirtIOPCIProxy parent_obj;
    SimDisk vdev;
};

static const Property sim_disk_pci_properties[] = {
    DEFINE_PROP_UINT32("vectors", VirtIOPCIProxy, nvectors, 2),
};

static void sim_disk_pci_realize(VirtIOPCIProxy *proxy, Error **errp)
{
    qdev_realize(DEVICE(&SIM_DISK_PCI(proxy)->vdev), BUS(&proxy->bus), errp);
}

static void sim_disk_pci_class_init(ObjectClass *oc, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);
    PCIDeviceClass *pci = PCI_DEVICE_CLASS(oc);

    device_class_set_props(dc, sim_disk_pci_properties);
    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
    VIRTIO_PCI_CLASS(oc)->realize = sim_disk_pci_realize;
    pci->vendor_id = PCI_VENDOR_ID_REDHAT_QUMRANET;
    pci->device_id = PCI_DEVICE_ID_VIRTIO_BLOCK;
    pci->revision = VIRTIO_PCI_ABI_VERSION;
    pci->class_id = PCI_CLASS_STORAGE_SCSI;
}

static void sim_disk_pci_init(Object *obj)
{
    SimDiskPci *pci = SIM_DISK_PCI(obj);

    virtio_instance_init_common(obj, &pci->vdev, sizeof(pci->vdev), TYPE_SIM_DISK);
}

static const VirtioPCIDeviceTypeInfo sim_disk_pci_info = {
    .base_name = TYPE_SIM_DISK_PCI,
    .generic_name = "sim-disk-pci",
    .instance_size = sizeof(SimDiskPci),
    .instance_init = sim_disk_pci_init,
    .class_init = sim_disk_pci_class_init,
};

static void sim_disk_register_types(void)
{
    type_register_static(&sim_disk_info);
    virtio_pci_types_register(&sim_disk_pci_info);
}

type_init(sim_disk_register_types)
