/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio SCSI host adapter. Requests come on any number of queues and are carried out by the targets' disks (hw/scsi/), data straight between the
 * back end and guest memory. Task management waits until what is under way at a disk is done: nothing is left to abort then.
 *
 * A request lives from its kick to its end; a snapshot has none, since the back ends are drained before.
 */
#include "hw/virtio/virtio-scsi.h"

#include <string.h>
#include "hw/scsi/scsi-hd.h"
#include "hw/virtio/virtio.h"
#include "util/bytes.h"
#include "util/log.h"

enum { DEVICE_ID = 8, CONTROL = 0, EVENTS = 1, REQUESTS = 2, MAX_TARGETS = 256, MAX_QUEUES = 16 };
enum { MAX_SECTORS = 0xffff, COMMANDS_PER_LUN = 128, MAX_LUN = 0, EVENT_SIZE = 16 };

/* struct virtio_scsi_config (5.6.4). */
enum {
    CONFIG_NUM_QUEUES = 0,
    CONFIG_SEG_MAX = 4,
    CONFIG_MAX_SECTORS = 8,
    CONFIG_CMD_PER_LUN = 12,
    CONFIG_EVENT_SIZE = 16,
    CONFIG_SENSE_SIZE = 20,
    CONFIG_CDB_SIZE = 24,
    CONFIG_MAX_CHANNEL = 28,
    CONFIG_MAX_TARGET = 30,
    CONFIG_MAX_LUN = 32,
    CONFIG_SIZE = 36,
};

/* struct virtio_scsi_req_cmd (5.6.6.1), whose last fields have the sizes that the configuration says. */
enum { REQ_LUN = 0, REQ_CDB = 19, DEFAULT_CDB = 32, MAX_CDB = 64 };
enum {
    RESP_SENSE_LEN = 0,
    RESP_RESIDUAL = 4,
    RESP_STATUS = 10,
    RESP_RESPONSE = 11,
    RESP_SENSE = 12
};
enum { DEFAULT_SENSE = 96, MAX_SENSE = 252 };
enum { S_OK = 0, S_OVERRUN = 1, S_BAD_TARGET = 3, S_FAILURE = 9, S_FUNCTION_REJECTED = 11 };

/* Control requests (5.6.6.2). */
enum { CONTROL_TMF = 0, TMF_SUBTYPE = 4, TMF_LUN = 8, TMF_SIZE = 24, CONTROL_MIN = 4 };
enum {
    TMF_ABORT_TASK,
    TMF_ABORT_TASK_SET,
    TMF_CLEAR_ACA,
    TMF_CLEAR_TASK_SET,
    TMF_NEXUS_RESET,
    TMF_LUN_RESET,
    TMF_QUERY_TASK,
    TMF_QUERY_TASK_SET,
};

typedef struct HwVirtioScsi {
    HwVirtio parent;
    HwBus *bus;
    HwScsiHd *targets[MAX_TARGETS];
    uint32_t n_queues;
    uint16_t queue_size;
    uint32_t sense_size, cdb_size;
    unsigned in_flight[MAX_QUEUES];
} HwVirtioScsi;

typedef struct HwVirtioScsiClass {
    HwVirtioClass parent;
} HwVirtioScsiClass;

G_DEFINE_TYPE(HwVirtioScsi, hw_virtio_scsi, HW_TYPE_VIRTIO)

typedef struct Request {
    ScsiCommand cmd;
    HwVirtioScsi *s;
    unsigned queue;
    VirtqElement *e;
    struct iovec *iov; /* of the data; owned */
    int n_iov;
    uint64_t room, moved; /* bytes: in the driver's buffers, of them moved */
    bool to_host;
    bool starting, over; /* within scsi_start(), which ended it */
} Request;

/* ---- The end of a request ---- */

static void respond(HwVirtioScsi *s, unsigned queue, VirtqElement *e, const uint8_t *response,
                    uint64_t data)
{
    size_t size = RESP_SENSE + s->sense_size;

    virtq_iov_write(e->in, e->n_in, 0, response, size);
    virtqueue_push(&s->parent.queues[queue], e, size + data);
    g_free(e);
}

static void finish(Request *r)
{
    uint8_t response[RESP_SENSE + MAX_SENSE] = { 0 }, sense[SCSI_SENSE_SIZE];
    bool whole = r->cmd.kind == SCSI_IDLE;

    response[RESP_RESPONSE] = whole ? S_OK : S_OVERRUN; /* the buffers were shorter than the data */
    if (!whole) {
        scsi_abandon(&r->cmd);
    } else if (r->cmd.status == SCSI_CHECK_CONDITION) {
        scsi_sense(&r->cmd, sense);
        memcpy(response + RESP_SENSE, sense, MIN(sizeof(sense), r->s->sense_size));
        bytes_put_le32(response + RESP_SENSE_LEN, MIN(sizeof(sense), r->s->sense_size));
        r->moved = 0;
    }
    response[RESP_STATUS] = whole ? r->cmd.status : SCSI_GOOD;
    bytes_put_le32(response + RESP_RESIDUAL, (uint32_t)(r->room - r->moved));
    r->s->in_flight[r->queue - REQUESTS]--;
    respond(r->s, r->queue, r->e, response, r->to_host ? r->moved : 0);
    g_free(r->iov);
    g_free(r);
}

static void command_done(ScsiCommand *cmd)
{
    Request *r = cmd->opaque;

    if (r->starting) {
        r->over = true;
    } else {
        finish(r);
    }
}

static void batch_end(void *opaque)
{
    HwVirtioScsi *s = opaque;

    for (unsigned i = 0; i < s->n_queues; i++) {
        hw_virtio_publish(&s->parent, REQUESTS + i);
    }
}

/* ---- Requests ---- */

/* 5.6.6.1: 1, target, and a LUN of the flat space. */
static HwScsiHd *find_target(const HwVirtioScsi *s, const uint8_t *lun)
{
    bool single = lun[0] == 1 && !(lun[2] & 0x3f) && !lun[3];

    return single ? s->targets[lun[1]] : NULL;
}

/* Before the data. */
static uint64_t header_size(const Request *r)
{
    return r->to_host ? RESP_SENSE + r->s->sense_size : REQ_CDB + r->s->cdb_size;
}

/* The driver's buffers for the data, cut to what the disk wants. */
static void move_data(Request *r)
{
    VirtqElement *e = r->e;
    struct iovec *iov;

    r->to_host = scsi_is_to_host(&r->cmd);
    r->n_iov = r->to_host ? e->n_in : e->n_out;
    r->iov = iov = g_memdup2(r->to_host ? e->in : e->out, (size_t)r->n_iov * sizeof(*iov));
    r->room = (r->to_host ? e->in_len : e->out_len) - header_size(r);
    r->moved = MIN(r->room, r->cmd.length);
    if (!r->moved) {
        finish(r);
        return;
    }
    virtq_iov_trim_front(&iov, &r->n_iov, header_size(r));
    virtq_iov_trim_back(iov, &r->n_iov, r->room - r->moved);
    scsi_transfer(&r->cmd, iov, r->n_iov, r->moved);
}

static void start(HwVirtioScsi *s, unsigned queue, VirtqElement *e, HwScsiHd *target,
                  const uint8_t *cdb)
{
    Request *r = g_new0(Request, 1);

    r->s = s;
    r->queue = queue;
    r->e = e;
    s->in_flight[queue - REQUESTS]++;
    scsi_command_init(&r->cmd, &target->disk, command_done, r);
    r->starting = true;
    scsi_start(&r->cmd, cdb, MIN(s->cdb_size, SCSI_CDB_SIZE));
    r->starting = false;
    if (r->over) {
        finish(r);
    } else if (r->cmd.kind != SCSI_NO_DATA) {
        move_data(r);
    }
}

/* False: the device is failed. */
static bool handle_request(HwVirtioScsi *s, unsigned queue, VirtqElement *e)
{
    uint8_t header[REQ_CDB + MAX_CDB], response[RESP_SENSE + MAX_SENSE] = { 0 };
    HwScsiHd *target;

    if (e->out_len < REQ_CDB + s->cdb_size || e->in_len < RESP_SENSE + s->sense_size ||
        s->in_flight[queue - REQUESTS] >= s->parent.queues[queue].num) {
        hw_virtio_fail(&s->parent, "request without header or response, or more of them than "
                                   "the queue has entries");
        g_free(e);
        return false;
    }
    virtq_iov_read(e->out, e->n_out, 0, header, REQ_CDB + s->cdb_size);
    target = find_target(s, header + REQ_LUN);
    if (target) {
        start(s, queue, e, target, header + REQ_CDB);
    } else {
        response[RESP_RESPONSE] = S_BAD_TARGET;
        respond(s, queue, e, response, 0);
    }
    return true;
}

/* ---- Control ---- */

static uint8_t manage(HwVirtioScsi *s, const uint8_t *tmf)
{
    HwScsiHd *target = find_target(s, tmf + TMF_LUN);

    if (!target) {
        return S_BAD_TARGET;
    }
    switch (bytes_get_le32(tmf + TMF_SUBTYPE)) {
    case TMF_NEXUS_RESET:
    case TMF_LUN_RESET:
        scsi_disk_drain(&target->disk);
        scsi_disk_reset(&target->disk);
        return S_OK;
    case TMF_ABORT_TASK:
    case TMF_ABORT_TASK_SET:
    case TMF_CLEAR_TASK_SET:
    case TMF_QUERY_TASK:
    case TMF_QUERY_TASK_SET:
        scsi_disk_drain(&target->disk);
        return S_OK; /* function complete: there is no such task any more */
    }
    return S_FUNCTION_REJECTED;
}

/* Responses to task management have one byte; to the asynchronous notifications, of which there are none, four bytes come before it. */
static void handle_control(HwVirtioScsi *s, VirtqElement *e)
{
    uint8_t request[TMF_SIZE] = { 0 }, response[5] = { 0 };
    uint64_t got = virtq_iov_read(e->out, e->n_out, 0, request, sizeof(request));
    bool is_tmf = bytes_get_le32(request) == CONTROL_TMF;

    if (got < (is_tmf ? TMF_SIZE : CONTROL_MIN)) {
        log_guest_error("virtio-scsi-device: a control request that is too short");
        response[0] = S_FAILURE;
    } else if (is_tmf) {
        response[0] = manage(s, request);
    }
    virtqueue_push(&s->parent.queues[CONTROL], e,
                   virtq_iov_write(e->in, e->n_in, 0, response, is_tmf ? 1 : sizeof(response)));
    g_free(e);
}

static bool scsi_kick(HwVirtio *dev, unsigned n)
{
    HwVirtioScsi *s = (HwVirtioScsi *)dev;
    VirtQueue *q = &dev->queues[n];
    bool more = n != EVENTS; /* buffers for events, which there are none of, stay */

    block_plug();
    for (unsigned i = 0; i < q->num && more; i++) {
        VirtqElement *e = virtqueue_pop(q);

        if (!e) {
            more = virtqueue_arm(q);
        } else if (n == CONTROL) {
            handle_control(s, e);
        } else {
            more = handle_request(s, n, e);
        }
    }
    block_unplug();
    hw_virtio_publish(dev, n);
    return more;
}

static void scsi_stop(HwVirtio *dev)
{
    HwVirtioScsi *s = (HwVirtioScsi *)dev;

    for (unsigned i = 0; i < MAX_TARGETS; i++) {
        if (s->targets[i]) {
            scsi_disk_drain(&s->targets[i]->disk);
        }
    }
}

/* ---- Configuration ---- */

static void scsi_config_read(HwVirtio *dev, uint8_t *config)
{
    const HwVirtioScsi *s = (HwVirtioScsi *)dev;

    bytes_put_le32(config + CONFIG_NUM_QUEUES, s->n_queues);
    bytes_put_le32(config + CONFIG_SEG_MAX, MAX((uint32_t)s->queue_size, 3) - 2);
    bytes_put_le32(config + CONFIG_MAX_SECTORS, MAX_SECTORS);
    bytes_put_le32(config + CONFIG_CMD_PER_LUN, COMMANDS_PER_LUN);
    bytes_put_le32(config + CONFIG_EVENT_SIZE, EVENT_SIZE);
    bytes_put_le32(config + CONFIG_SENSE_SIZE, s->sense_size);
    bytes_put_le32(config + CONFIG_CDB_SIZE, s->cdb_size);
    bytes_put_le16(config + CONFIG_MAX_TARGET, MAX_TARGETS - 1);
    bytes_put_le32(config + CONFIG_MAX_LUN, MAX_LUN);
}

/* 5.6.4.2: before the driver is ready, and within reason. */
static void scsi_config_write(HwVirtio *dev, uint32_t offset, uint32_t value, unsigned size)
{
    HwVirtioScsi *s = (HwVirtioScsi *)dev;

    if (hw_virtio_is_running(dev) || size != 4) {
        log_guest_error("virtio-scsi-device: write at offset %u of the configuration space",
                        offset);
    } else if (offset == CONFIG_SENSE_SIZE && value <= MAX_SENSE) {
        s->sense_size = value;
    } else if (offset == CONFIG_CDB_SIZE && value >= 1 && value <= MAX_CDB) {
        s->cdb_size = value;
    } else {
        log_guest_error("virtio-scsi-device: %u is written at offset %u of the configuration space",
                        value, offset);
    }
}

/* ---- The device object ---- */

static bool plug_disk(HwBus *bus, HwDevice *child, GError **error)
{
    HwVirtioScsi *s = bus->opaque;
    HwScsiHd *hd = (HwScsiHd *)child;

    for (unsigned i = 0; hd->id == HW_SCSI_AUTO_ID && i < MAX_TARGETS; i++) {
        if (!s->targets[i]) {
            hd->id = i;
        }
    }
    if (hd->id >= MAX_TARGETS || s->targets[hd->id]) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "scsi-hd: scsi-id: %s has targets 0 to %d, and this one is taken or none of "
                    "them",
                    bus->name, MAX_TARGETS - 1);
        return false;
    }
    s->targets[hd->id] = hd;
    if (hd->disk.blk) {
        block_set_batch_end(hd->disk.blk, batch_end, s);
    }
    return true;
}

static bool scsi_realize(HwDevice *object, GError **error)
{
    static unsigned n_unnamed;
    HwVirtioScsi *s = (HwVirtioScsi *)object;
    g_autofree char *name = object->id ? g_strdup_printf("%s.0", object->id)
                                       : g_strdup_printf("scsi-bus.%u", n_unnamed++);

    if (s->queue_size & (s->queue_size - 1)) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "virtio-scsi-device: virtqueue_size: %u is no power of 2", s->queue_size);
        return false;
    }
    for (unsigned i = 0; i < REQUESTS + s->n_queues; i++) {
        hw_virtio_add_queue(&s->parent, s->queue_size);
    }
    s->bus = hw_bus_new(object, HW_SCSI_BUS_TYPE, name, MAX_TARGETS);
    s->bus->plug = plug_disk;
    s->bus->opaque = s;
    return true;
}

static void scsi_unrealize(HwDevice *object)
{
    HwVirtioScsi *s = (HwVirtioScsi *)object;

    scsi_stop(&s->parent);
    memset(s->targets, 0, sizeof(s->targets));
    g_clear_pointer(&s->bus, hw_bus_free);
}

static bool scsi_post_load(HwDevice *object, GError **error)
{
    HwVirtioScsi *s = (HwVirtioScsi *)object;

    if (s->sense_size > MAX_SENSE || !s->cdb_size || s->cdb_size > MAX_CDB) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "virtio-scsi-device: sizes of sense data or commands out of range");
        return false;
    }
    return HW_DEVICE_CLASS(hw_virtio_scsi_parent_class)->post_load(object, error);
}

static const StateField scsi_state[] = {
    HW_FIELD(HwVirtioScsi, sense_size, STATE_U32, DEFAULT_SENSE, "bytes of sense data"),
    HW_FIELD(HwVirtioScsi, cdb_size, STATE_U32, DEFAULT_CDB, "bytes of a command"),
    { 0 },
};

static const HwProp scsi_props[] = {
    { .name = "num_queues",
      .type = HW_PROP_U32,
      .offset = offsetof(HwVirtioScsi, n_queues),
      .def = 1,
      .min = 1,
      .max = MAX_QUEUES,
      .desc = "queues of requests" },
    { .name = "virtqueue_size",
      .type = HW_PROP_U16,
      .offset = offsetof(HwVirtioScsi, queue_size),
      .def = 256,
      .min = 4,
      .max = VIRTQUEUE_MAX_SIZE,
      .desc = "entries of each queue" },
    { 0 },
};

static void hw_virtio_scsi_init(HwVirtioScsi *s)
{
    s->sense_size = DEFAULT_SENSE;
    s->cdb_size = DEFAULT_CDB;
}

static void hw_virtio_scsi_class_init(HwVirtioScsiClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwVirtioClass *vc = HW_VIRTIO_CLASS(klass);

    dc->model = "virtio-scsi-device";
    dc->desc = "virtio SCSI host adapter";
    dc->user_creatable = true;
    dc->realize = scsi_realize;
    dc->unrealize = scsi_unrealize;
    dc->post_load = scsi_post_load;
    vc->device_id = DEVICE_ID;
    vc->config_size = CONFIG_SIZE;
    vc->config_read = scsi_config_read;
    vc->config_write = scsi_config_write;
    vc->kick = scsi_kick;
    vc->stop = scsi_stop;
    hw_virtio_class_bind_state(vc, scsi_state);
    hw_virtio_class_bind_props(vc, scsi_props);
}
