/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio console device and its ports. Each port has a queue for input and one for output; two more carry control messages, by which driver and
 * device tell each other of ports, names, and which end of a port is open. A driver that knows nothing of that (no MULTIPORT) sees port 0 only. It
 * may also write single characters into the configuration space before it has queues (emergency write).
 *
 * Messages to the driver wait as bits of the ports until it has buffers for them, so it cannot make them pile up. A back end is asked for input only
 * while the driver has buffers for it; what does not fit after all waits in `pending`.
 */
#include "hw/virtio/virtio-serial.h"
#include <string.h>
#include "chardev/chardev.h"
#include "hw/virtio/virtio.h"
#include "softmmu/runstate.h"
#include "util/bytes.h"
#include "util/log.h"

enum { DEVICE_ID = 3, QUEUE_SIZE = 128, PENDING = 4096, MAX_OUTPUT = 1 << 20, MAX_PORTS = 31 };
enum { CONTROL_RX = 2, CONTROL_TX = 3, RX = 0, TX = 1 };
enum { F_MULTIPORT = 1, F_EMERG_WRITE = 2 };
enum { CONFIG_MAX_PORTS = 4, CONFIG_EMERG_WR = 8, CONFIG_SIZE = 12 };
enum { AUTO_NUMBER = UINT32_MAX };

/* struct virtio_console_control (5.3.6.2): id, event, value. */
enum { CONTROL_SIZE = 8, MAX_NAME = 64 };
enum {
    DEVICE_READY = 0,
    PORT_ADD = 1,
    PORT_READY = 3,
    CONSOLE_PORT = 4,
    PORT_OPEN = 6,
    PORT_NAME = 7,
    N_EVENTS,
};

typedef struct HwVirtioSerial HwVirtioSerial;

typedef struct HwSerialPort {
    HwDevice parent;
    HwVirtioSerial *serial; /* NULL: not plugged in */
    Chardev *chr;
    char *name;
    uint32_t nr;
    bool host_open;           /* the back end's other end is there */
    bool shown_open;          /* what of that the driver was told */
    bool ready;               /* the driver knows the port */
    bool guest_open;          /* a program of the guest has it open */
    uint8_t events;           /* bits of messages for the driver */
    uint8_t pending[PENDING]; /* input that the driver had no room for */
    uint32_t n_pending;
} HwSerialPort;

typedef struct HwSerialPortClass {
    HwDeviceClass parent;
    bool is_console;
} HwSerialPortClass;

struct HwVirtioSerial {
    HwVirtio parent;
    HwBus *bus;
    uint32_t max_ports;
    HwSerialPort *ports[MAX_PORTS];
};

typedef struct HwVirtioSerialClass {
    HwVirtioClass parent;
} HwVirtioSerialClass;

G_DEFINE_TYPE(HwVirtioSerial, hw_virtio_serial, HW_TYPE_VIRTIO)

static GType hw_serial_port_get_type(void);
G_DEFINE_ABSTRACT_TYPE(HwSerialPort, hw_serial_port, HW_TYPE_DEVICE)

static bool is_console(HwSerialPort *port)
{
    return ((HwSerialPortClass *)G_OBJECT_GET_CLASS(port))->is_console;
}

static bool has_multiport(const HwVirtioSerial *s)
{
    return hw_virtio_has(&s->parent, F_MULTIPORT);
}

/* ---- Queues ---- */

static unsigned queue_of(unsigned nr, unsigned direction)
{
    return (nr ? 2 * nr + 2 : 0) + direction;
}

/* The port of queue @n, which is no control queue; NULL: there is none. */
static HwSerialPort *port_of(const HwVirtioSerial *s, unsigned n)
{
    return s->ports[n < CONTROL_RX ? 0 : n / 2 - 1];
}

/* ---- Control ---- */

/* False: the driver has no buffer now. */
static bool send_event(HwVirtioSerial *s, const HwSerialPort *port, unsigned event)
{
    VirtQueue *q = &s->parent.queues[CONTROL_RX];
    g_autofree VirtqElement *e = virtqueue_pop(q);
    const char *name = event == PORT_NAME && port->name ? port->name : "";
    uint8_t message[CONTROL_SIZE + MAX_NAME];
    size_t len = MIN(strlen(name), MAX_NAME);

    if (!e) {
        return false;
    }
    bytes_put_le32(message, port->nr);
    bytes_put_le16(message + 4, (uint16_t)event);
    bytes_put_le16(message + 6, event != PORT_OPEN || port->host_open);
    memcpy(message + CONTROL_SIZE, name, len);
    virtqueue_push(q, e, virtq_iov_write(e->in, e->n_in, 0, message, CONTROL_SIZE + len));
    return true;
}

/* False: there are messages left. */
static bool send_events_of(HwVirtioSerial *s, HwSerialPort *port)
{
    while (port->events) {
        unsigned event = (unsigned)__builtin_ctz(port->events);

        if (!send_event(s, port, event)) {
            return false;
        }
        port->events &= (uint8_t) ~(1u << event);
    }
    if (port->ready && port->host_open != port->shown_open) {
        if (!send_event(s, port, PORT_OPEN)) {
            return false;
        }
        port->shown_open = port->host_open;
    }
    return true;
}

/* Sends what waits, as long as there are buffers. */
static void send_events(HwVirtioSerial *s)
{
    bool all;

    do {
        all = true;
        for (unsigned i = 0; i < s->max_ports && all; i++) {
            all = !s->ports[i] || send_events_of(s, s->ports[i]);
        }
    } while (!all && virtqueue_arm(&s->parent.queues[CONTROL_RX]));
    hw_virtio_publish(&s->parent, CONTROL_RX);
}

static void add_ports(HwVirtioSerial *s)
{
    for (unsigned i = 0; i < s->max_ports; i++) {
        if (s->ports[i]) {
            s->ports[i]->events |= 1 << PORT_ADD;
        }
    }
}

static void port_is_ready(HwSerialPort *port)
{
    port->events |= (uint8_t)(is_console(port) ? 1 << CONSOLE_PORT : 0);
    port->events |= (uint8_t)(port->name ? 1 << PORT_NAME : 0);
    port->ready = true;
    port->shown_open = false;
}

static void handle_control(HwVirtioSerial *s, const VirtqElement *e)
{
    uint8_t message[CONTROL_SIZE];
    HwSerialPort *port;
    uint32_t nr;

    if (virtq_iov_read(e->out, e->n_out, 0, message, sizeof(message)) < sizeof(message)) {
        log_guest_error("virtio-serial-device: a control message that is too short");
        return;
    }
    nr = bytes_get_le32(message);
    port = nr < s->max_ports ? s->ports[nr] : NULL;
    switch (bytes_get_le16(message + 4)) {
    case DEVICE_READY:
        add_ports(s);
        break;
    case PORT_READY:
        if (port) {
            port_is_ready(port);
        }
        break;
    case PORT_OPEN:
        if (port) {
            port->guest_open = bytes_get_le16(message + 6);
        }
        if (port && port->chr) {
            chardev_accept_input(port->chr);
        }
        break;
    }
}

static bool receive_control(HwVirtioSerial *s)
{
    VirtQueue *q = &s->parent.queues[CONTROL_TX];
    bool more = true;

    for (unsigned i = 0; i < q->num && more; i++) {
        g_autofree VirtqElement *e = virtqueue_pop(q);

        if (e) {
            handle_control(s, e);
            virtqueue_push(q, e, 0);
        } else {
            more = virtqueue_arm(q);
        }
    }
    hw_virtio_publish(&s->parent, CONTROL_TX);
    send_events(s);
    return more;
}

/* ---- Input ---- */

/* Gives the driver as much of @buf as it has room for; returns that. */
static size_t deliver(HwSerialPort *port, const uint8_t *buf, size_t len)
{
    HwVirtio *dev = &port->serial->parent;
    unsigned n = queue_of(port->nr, RX);
    VirtQueue *q = &dev->queues[n];
    size_t done = 0;
    bool more = true;

    for (unsigned i = 0; i < q->num && done < len && more; i++) {
        g_autofree VirtqElement *e = virtqueue_pop(q);
        uint64_t put;

        if (!e) {
            more = virtqueue_arm(q);
            continue;
        }
        put = virtq_iov_write(e->in, e->n_in, 0, buf + done, len - done);
        virtqueue_push(q, e, put);
        done += put;
    }
    if (more) {
        virtqueue_arm(q); /* before there is something to deliver */
    }
    hw_virtio_publish(dev, n);
    return done;
}

static size_t port_can_read(void *opaque)
{
    HwSerialPort *port = opaque;
    HwVirtioSerial *s = port->serial;

    if (s && !vm_is_running()) {
        hw_virtio_kick_later(&s->parent, queue_of(port->nr, RX), 0); /* which asks again */
        return 0;
    }
    return s && !port->n_pending && (port->guest_open || !has_multiport(s)) &&
                   virtqueue_has_work(&s->parent.queues[queue_of(port->nr, RX)])
               ? PENDING
               : 0;
}

static void port_receive(void *opaque, const uint8_t *buf, size_t len)
{
    HwSerialPort *port = opaque;
    size_t done = deliver(port, buf, len);

    port->n_pending = (uint32_t)MIN(len - done, PENDING);
    memcpy(port->pending, buf + done, port->n_pending);
}

static void port_event(void *opaque, ChardevEvent event)
{
    HwSerialPort *port = opaque;

    if (event != CHARDEV_OPENED && event != CHARDEV_CLOSED) {
        return;
    }
    port->host_open = event == CHARDEV_OPENED;
    if (port->serial) {
        send_events(port->serial);
    }
}

static const ChardevFrontend port_frontend = { .can_read = port_can_read,
                                               .read = port_receive,
                                               .event = port_event };

static void take_buffers(HwSerialPort *port)
{
    size_t done = deliver(port, port->pending, port->n_pending);

    port->n_pending -= (uint32_t)done;
    memmove(port->pending, port->pending + done, port->n_pending);
    if (!port->n_pending && port->chr) {
        chardev_accept_input(port->chr);
    }
}

/* ---- Output ---- */

/* A chain is written in one piece, as the back end waits for its peer after each if that is slow. False: the driver wants too much at once. */
static bool write_out(HwVirtioSerial *s, const HwSerialPort *port, VirtQueue *q,
                      const VirtqElement *e)
{
    if (e->out_len > MAX_OUTPUT) {
        hw_virtio_fail(&s->parent, "%" G_GUINT64_FORMAT " bytes of output at once", e->out_len);
        return false;
    }
    if (port && port->chr) {
        g_autofree uint8_t *bytes = g_malloc(e->out_len);

        virtq_iov_read(e->out, e->n_out, 0, bytes, e->out_len);
        chardev_write(port->chr, bytes, e->out_len);
    }
    virtqueue_push(q, e, 0);
    return true;
}

static bool transmit(HwVirtioSerial *s, unsigned n)
{
    enum { PATIENCE_NS = 10000000 };
    VirtQueue *q = &s->parent.queues[n];
    const HwSerialPort *port = port_of(s, n);
    bool more = true;

    for (unsigned i = 0; i < q->num && more; i++) {
        g_autofree VirtqElement *e = NULL;

        if (port && port->chr && !chardev_has_room(port->chr)) {
            hw_virtio_kick_later(&s->parent, n, PATIENCE_NS); /* the peer does not read */
            more = false;
            break;
        }
        e = virtqueue_pop(q);
        more = e ? write_out(s, port, q, e) : virtqueue_arm(q);
    }
    hw_virtio_publish(&s->parent, n);
    return more;
}

static bool serial_kick(HwVirtio *dev, unsigned n)
{
    HwVirtioSerial *s = (HwVirtioSerial *)dev;

    if (n == CONTROL_RX) {
        send_events(s);
        return false;
    }
    if (n == CONTROL_TX) {
        return receive_control(s);
    }
    if (n % 2 == TX) {
        return transmit(s, n);
    }
    if (port_of(s, n)) {
        take_buffers(port_of(s, n));
    }
    return false;
}

/* ---- Configuration ---- */

static void serial_config_read(HwVirtio *dev, uint8_t *config)
{
    /* The size of the terminal, before it, is not offered. */
    bytes_put_le32(config + CONFIG_MAX_PORTS, ((HwVirtioSerial *)dev)->max_ports);
}

static void serial_config_write(HwVirtio *dev, uint32_t offset, uint32_t value, unsigned size)
{
    HwVirtioSerial *s = (HwVirtioSerial *)dev;
    uint8_t byte = (uint8_t)value;

    if (offset != CONFIG_EMERG_WR) {
        log_guest_error("virtio-serial-device: write at offset %u of the configuration space",
                        offset);
    } else if (s->ports[0] && s->ports[0]->chr) {
        chardev_write(s->ports[0]->chr, &byte, 1);
    }
}

/* ---- The device ---- */

static bool refuse(GError **error, HwSerialPort *port, const char *text)
{
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: nr: %s",
                HW_DEVICE_GET_CLASS(port)->model, text);
    return false;
}

/* Port 0 is what drivers without MULTIPORT see: a console. */
static bool plug_port(HwBus *bus, HwDevice *child, GError **error)
{
    HwVirtioSerial *s = bus->opaque;
    HwSerialPort *port = (HwSerialPort *)child;

    if (port->nr == AUTO_NUMBER) {
        port->nr = is_console(port) ? 0 : 1;
        while (port->nr < s->max_ports && s->ports[port->nr]) {
            port->nr++;
        }
    }
    if (port->nr >= s->max_ports) {
        return refuse(error, port, "the device has no such port, or none left (max_ports)");
    }
    if (s->ports[port->nr] || (!port->nr && !is_console(port))) {
        return refuse(error, port, port->nr ? "the port is taken" : "port 0 is for a virtconsole");
    }
    s->ports[port->nr] = port;
    port->serial = s;
    return true;
}

static bool serial_realize(HwDevice *object, GError **error)
{
    static unsigned n_unnamed;
    HwVirtioSerial *s = (HwVirtioSerial *)object;
    g_autofree char *name = object->id ? g_strdup_printf("%s.0", object->id)
                                       : g_strdup_printf("virtio-serial-bus.%u", n_unnamed++);

    for (unsigned i = 0; i < 2 * s->max_ports + 2; i++) {
        hw_virtio_add_queue(&s->parent, QUEUE_SIZE);
    }
    s->parent.offered |= 1u << F_EMERG_WRITE | 1u << F_MULTIPORT;
    s->bus = hw_bus_new(object, "virtio-serial-bus", name, s->max_ports);
    s->bus->plug = plug_port;
    s->bus->opaque = s;
    return true;
}

static void serial_unrealize(HwDevice *object)
{
    HwVirtioSerial *s = (HwVirtioSerial *)object;

    g_clear_pointer(&s->bus, hw_bus_free);
}

static void serial_reset(HwDevice *object)
{
    HwVirtioSerial *s = (HwVirtioSerial *)object;

    HW_DEVICE_CLASS(hw_virtio_serial_parent_class)->reset(object);
    for (unsigned i = 0; i < s->max_ports; i++) {
        if (s->ports[i]) {
            hw_device_reset(&s->ports[i]->parent);
        }
    }
}

static const HwProp serial_props[] = {
    { .name = "max_ports",
      .type = HW_PROP_U32,
      .offset = offsetof(HwVirtioSerial, max_ports),
      .def = MAX_PORTS,
      .min = 1,
      .max = MAX_PORTS,
      .desc = "ports that there can be" },
    { 0 },
};

static void hw_virtio_serial_init(HwVirtioSerial *s)
{
    (void)s;
}

static void hw_virtio_serial_class_init(HwVirtioSerialClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);
    HwVirtioClass *vc = HW_VIRTIO_CLASS(klass);

    dc->model = "virtio-serial-device";
    dc->desc = "virtio console device, with ports on its bus";
    dc->user_creatable = true;
    dc->realize = serial_realize;
    dc->unrealize = serial_unrealize;
    dc->reset = serial_reset;
    vc->device_id = DEVICE_ID;
    vc->config_size = CONFIG_SIZE;
    vc->config_read = serial_config_read;
    vc->config_write = serial_config_write;
    vc->kick = serial_kick;
    hw_virtio_class_bind_state(vc, NULL);
    hw_virtio_class_bind_props(vc, serial_props);
}

/* ---- Ports ---- */

static bool port_realize(HwDevice *object, GError **error)
{
    HwSerialPort *port = (HwSerialPort *)object;

    if (port->name && strlen(port->name) > MAX_NAME) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "%s: name: '%s' is longer than %d characters", HW_DEVICE_GET_CLASS(port)->model,
                    port->name, MAX_NAME);
        return false;
    }
    if (port->chr && !chardev_attach(port->chr, &port_frontend, port, error)) {
        g_prefix_error(error, "%s: ", HW_DEVICE_GET_CLASS(port)->model);
        return false;
    }
    return true;
}

static void port_unrealize(HwDevice *object)
{
    HwSerialPort *port = (HwSerialPort *)object;

    if (port->chr) {
        chardev_detach(port->chr, port);
    }
    if (port->serial) {
        port->serial->ports[port->nr] = NULL;
        port->serial = NULL;
    }
}

static bool port_post_load(HwDevice *object, GError **error)
{
    HwSerialPort *port = (HwSerialPort *)object;

    if (port->n_pending > PENDING || port->events >> N_EVENTS) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL,
                    "%s: pending input or messages out of range", HW_DEVICE_GET_CLASS(port)->model);
        return false;
    }
    return true;
}

static const StateField port_state[] = {
    HW_FIELD(HwSerialPort, guest_open, STATE_BOOL, 0, "open in the guest"),
    HW_FIELD(HwSerialPort, shown_open, STATE_BOOL, 0, "the guest knows that the host has it open"),
    HW_FIELD(HwSerialPort, ready, STATE_BOOL, 0, "the driver knows the port"),
    HW_FIELD(HwSerialPort, events, STATE_U8, 0, "messages for the driver"),
    HW_FIELD_ARRAY(HwSerialPort, pending, STATE_U8, PENDING, 0, "input the driver had no room for"),
    HW_FIELD(HwSerialPort, n_pending, STATE_U32, 0, "how much of it"),
    { 0 },
};

static const HwProp port_props[] = {
    HW_PROP(HwSerialPort, chr, "chardev", HW_PROP_CHARDEV, 0, "character back end"),
    HW_PROP(HwSerialPort, name, "name", HW_PROP_STRING, 0,
            "as the guest finds it: /dev/virtio-ports/NAME"),
    HW_PROP(HwSerialPort, nr, "nr", HW_PROP_U32, AUTO_NUMBER, "number of the port"),
    { 0 },
};

static void hw_serial_port_init(HwSerialPort *port)
{
    (void)port;
}

static void hw_serial_port_class_init(HwSerialPortClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->bus_type = "virtio-serial-bus";
    dc->user_creatable = true;
    dc->realize = port_realize;
    dc->unrealize = port_unrealize;
    dc->post_load = port_post_load;
    dc->state = port_state;
}

typedef HwSerialPort HwVirtconsole;
typedef HwSerialPortClass HwVirtconsoleClass;
typedef HwSerialPort HwVirtserialport;
typedef HwSerialPortClass HwVirtserialportClass;

G_DEFINE_TYPE(HwVirtconsole, hw_virtconsole, hw_serial_port_get_type())
G_DEFINE_TYPE(HwVirtserialport, hw_virtserialport, hw_serial_port_get_type())

static void hw_virtconsole_init(HwVirtconsole *port)
{
    (void)port;
}

static void hw_virtconsole_class_init(HwVirtconsoleClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "virtconsole";
    dc->desc = "terminal on a virtio console device";
    klass->is_console = true;
    hw_device_class_bind_props(dc, port_props);
}

static void hw_virtserialport_init(HwVirtserialport *port)
{
    (void)port;
}

static void hw_virtserialport_class_init(HwVirtserialportClass *klass)
{
    HwDeviceClass *dc = HW_DEVICE_CLASS(klass);

    dc->model = "virtserialport";
    dc->desc = "named byte stream on a virtio console device";
    hw_device_class_bind_props(dc, port_props);
}
