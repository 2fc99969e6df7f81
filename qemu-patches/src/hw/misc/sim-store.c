/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * PCI device "sim-store": a file that the guest can read, as the memory of a device.
 *
 * It takes nothing of the machine's own memory, all machines share it, and reading it is no
 * business of anybody's: no interrupt, no driver, no time. The file is no part of a machine that is
 * saved.
 */
#include "qemu/osdep.h"
#include "hw/pci/pci_device.h"
#include "hw/qdev-properties.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "qemu/host-utils.h"
#include "qemu/module.h"
#include "system/hostmem.h"

#define TYPE_SIM_STORE "sim-store"
OBJECT_DECLARE_SIMPLE_TYPE(SimStore, SIM_STORE)

/* Of the numbers that QEMU has for devices of its own, one that nothing else has. */
#define SIM_STORE_VENDOR 0x1234
#define SIM_STORE_DEVICE 0x6e33

struct SimStore {
    PCIDevice parent_obj;
    HostMemoryBackend *memory;
};

static void sim_store_realize(PCIDevice *device, Error **errp)
{
    SimStore *s = SIM_STORE(device);
    MemoryRegion *region;

    if (!s->memory || host_memory_backend_is_mapped(s->memory)) {
        error_setg(errp, "sim-store needs a memory backend of its own: memdev=");
        return;
    }
    region = host_memory_backend_get_memory(s->memory);
    if (!memory_region_is_rom(region) || !is_power_of_2(memory_region_size(region))) {
        error_setg(errp, "a sim-store's memory is read-only, and its size a power of two");
        return;
    }
    host_memory_backend_set_mapped(s->memory, true);
    pci_register_bar(device, 0, PCI_BASE_ADDRESS_MEM_PREFETCH | PCI_BASE_ADDRESS_MEM_TYPE_64,
                     region);
}

static void sim_store_exit(PCIDevice *device)
{
    host_memory_backend_set_mapped(SIM_STORE(device)->memory, false);
}

static const VMStateDescription sim_store_vmstate = {
    .name = TYPE_SIM_STORE,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, SimStore),
        VMSTATE_END_OF_LIST()
    },
};

static const Property sim_store_properties[] = {
    DEFINE_PROP_LINK("memdev", SimStore, memory, TYPE_MEMORY_BACKEND, HostMemoryBackend *),
};

static void sim_store_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *k = PCI_DEVICE_CLASS(klass);

    k->realize = sim_store_realize;
    k->exit = sim_store_exit;
    k->vendor_id = SIM_STORE_VENDOR;
    k->device_id = SIM_STORE_DEVICE;
    k->class_id = PCI_CLASS_MEMORY_RAM;
    dc->vmsd = &sim_store_vmstate;
    dc->desc = "a file as the memory of a device";
    dc->hotpluggable = false;
    device_class_set_props(dc, sim_store_properties);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

static const TypeInfo sim_store_info = {
    .name = TYPE_SIM_STORE,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(SimStore),
    .class_init = sim_store_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { }
    },
};

static void sim_store_register_types(void)
{
    type_register_static(&sim_store_info);
}

type_init(sim_store_register_types)
