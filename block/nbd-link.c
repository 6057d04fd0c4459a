/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client's half of NBD's handshake: fixed newstyle, with NBD_OPT_GO and, for servers that do not know it, NBD_OPT_EXPORT_NAME; oldstyle.
 * Everything ends within a time, whatever the server does or does not do; it may send no more than a handshake can need.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "block/nbd-client.h"

enum { CONNECT_SECONDS = 30, MAX_REPLIES = 4096, MAX_REPLY = 64 * 1024 };

/* ---- Errors ---- */

static bool fail(const NbdLink *link, GError **error, const char *text)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "%s: %s", link->name, text);
    return false;
}

static bool fail_io(const NbdLink *link, GError **error, int err)
{
    g_autofree char *text = g_strdup_printf("Failed to talk to the server: %s",
                                            err == -ESHUTDOWN   ? "it closed the connection"
                                            : err == -ETIMEDOUT ? "it does not answer"
                                                                : g_strerror(-err));

    return fail(link, error, text);
}

static bool receive(NbdLink *link, void *buf, size_t bytes, GError **error)
{
    int err = nbd_stream_read(link->stream, buf, bytes);

    return err ? fail_io(link, error, err) : true;
}

static bool skip(NbdLink *link, uint64_t bytes, GError **error)
{
    int err = nbd_stream_skip(link->stream, bytes);

    return err ? fail_io(link, error, err) : true;
}

static bool transmit(NbdLink *link, const void *buf, size_t bytes, GError **error)
{
    int err = nbd_stream_send(link->stream, buf, bytes);

    return err ? fail_io(link, error, err) : true;
}

/* ---- Options ---- */

typedef enum Answer {
    BROKEN, /* the connection is of no use any more */
    REFUSED,
    UNSUPPORTED, /* the server does not know the option */
    ACCEPTED
} Answer;

/* Reads all bytes of a reply that is neither ACK nor an error. */
typedef bool (*ReplyFunction)(NbdLink *link, const NbdOptionReply *reply, void *opaque,
                              GError **error);

static bool ignore_reply(NbdLink *link, const NbdOptionReply *reply, void *opaque, GError **error)
{
    return skip(link, reply->length, error);
}

/* The next reply's header. */
static bool receive_header(NbdLink *link, uint32_t option, NbdOptionReply *reply, GError **error)
{
    uint8_t head[NBD_OPTION_REPLY_BYTES];

    if (!receive(link, head, sizeof(head), error)) {
        return false;
    }
    if (!nbd_option_reply_get(head, reply) || reply->option != option) {
        return fail(link, error, "the server's reply is none of NBD");
    }
    return reply->length <= MAX_REPLY || fail(link, error, "the server's reply is too long");
}

/* An error reply: its text, if it has one, goes to @error. */
static Answer take_refusal(NbdLink *link, const NbdOptionReply *reply, GError **error)
{
    char text[NBD_MAX_STRING];
    size_t n = MIN(reply->length, sizeof(text));
    g_autofree char *shown = NULL, *all = NULL;

    if (!receive(link, text, n, error) || !skip(link, reply->length - n, error)) {
        return BROKEN;
    }
    shown = nbd_printable(text, n);
    all = g_strdup_printf("%s%s%s%s", nbd_option_error(reply->type), n ? " (" : "", shown,
                          n ? ")" : "");
    fail(link, error, all);
    return reply->type == NBD_REP_ERR(NBD_ERR_UNSUP) ? UNSUPPORTED : REFUSED;
}

/* @error is set unless it is ACCEPTED. */
static Answer ask(NbdLink *link, uint32_t option, const GByteArray *data, ReplyFunction function,
                  void *opaque, GError **error)
{
    g_autoptr(GByteArray) message = g_byte_array_new();
    uint8_t head[NBD_OPTION_BYTES];
    NbdOptionReply reply;

    nbd_option_put(head, option, data ? data->len : 0);
    g_byte_array_append(message, head, sizeof(head));
    if (data) {
        g_byte_array_append(message, data->data, data->len);
    }
    if (!transmit(link, message->data, message->len, error)) {
        return BROKEN;
    }
    for (unsigned i = 0; i < MAX_REPLIES; i++) {
        if (!receive_header(link, option, &reply, error)) {
            return BROKEN;
        }
        if (reply.type & NBD_REP_ERROR) {
            return take_refusal(link, &reply, error);
        }
        if (reply.type == NBD_REP_ACK) {
            return skip(link, reply.length, error) ? ACCEPTED : BROKEN;
        }
        if (!function(link, &reply, opaque, error)) {
            return BROKEN;
        }
    }
    fail(link, error, "the server's replies have no end");
    return BROKEN;
}

static void add_number(GByteArray *data, uint32_t value)
{
    uint8_t bytes[4];

    nbd_put32(bytes, value);
    g_byte_array_append(data, bytes, sizeof(bytes));
}

static void add_string(GByteArray *data, const char *text)
{
    add_number(data, (uint32_t)strlen(text));
    g_byte_array_append(data, (const uint8_t *)text, (guint)strlen(text));
}

/* ---- Connecting ---- */

static void set_defaults(NbdExport *info)
{
    *info = (NbdExport){ .min_block = 1, .preferred_block = 4096, .max_payload = NBD_MAX_PAYLOAD };
}

/* The old style: the server says what its one export is, and that is all. */
static bool take_oldstyle(NbdLink *link, GError **error)
{
    NbdExport *info = &link->export_info;
    uint8_t data[12];

    set_defaults(info);
    if (!receive(link, data, sizeof(data), error)) {
        return false;
    }
    nbd_get64(data, &info->size);
    nbd_get16(data + 10, &info->flags); /* the lower half */
    link->oldstyle = true;
    return skip(link, NBD_OLD_ZEROES, error);
}

static bool greet(NbdLink *link, GError **error)
{
    uint8_t head[16], flags_bytes[2], answer[4];
    uint64_t magic, kind;
    uint16_t flags;

    if (!receive(link, head, sizeof(head), error)) {
        return false;
    }
    nbd_get64(nbd_get64(head, &magic), &kind);
    if (magic != NBD_MAGIC || (kind != NBD_OPTION_MAGIC && kind != NBD_OLDSTYLE_MAGIC)) {
        return fail(link, error, "is no NBD server");
    }
    if (kind == NBD_OLDSTYLE_MAGIC) {
        return take_oldstyle(link, error);
    }
    if (!receive(link, flags_bytes, sizeof(flags_bytes), error)) {
        return false;
    }
    nbd_get16(flags_bytes, &flags);
    link->fixed_newstyle = flags & NBD_FLAG_FIXED_NEWSTYLE;
    link->no_zeroes = flags & NBD_FLAG_NO_ZEROES;
    nbd_put32(answer, flags & (NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES));
    return transmit(link, answer, sizeof(answer), error);
}

static GSocketConnection *dial(const char *name, const NbdAddress *address, GError **error)
{
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketConnectable) place =
        address->path ? G_SOCKET_CONNECTABLE(g_unix_socket_address_new(address->path))
                      : g_network_address_new(address->host, address->port);
    g_autoptr(GError) why = NULL;
    GSocketConnection *connection;

    g_socket_client_set_enable_proxy(client, false);
    g_socket_client_set_timeout(client, CONNECT_SECONDS);
    connection = g_socket_client_connect(client, place, NULL, &why);
    if (!connection) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_IO, "%s: %s", name, why->message);
    }
    return connection;
}

NbdLink *nbd_link_new(const char *name, const NbdAddress *address, GError **error)
{
    GSocketConnection *connection;
    NbdLink *link;
    int fd;

    if (address->path && strlen(address->path) > NBD_MAX_SOCKET_PATH) {
        g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: the socket's path is too long",
                    name);
        return NULL;
    }
    connection = dial(name, address, error);
    if (!connection) {
        return NULL;
    }
    fd = g_socket_get_fd(g_socket_connection_get_socket(connection));
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    nbd_tune_socket(fd);
    link = g_new0(NbdLink, 1);
    link->name = g_strdup(name);
    link->connection = connection;
    link->stream = nbd_stream_new(fd);
    link->stream->deadline = g_get_monotonic_time() + CONNECT_SECONDS * G_USEC_PER_SEC;
    if (!greet(link, error)) {
        nbd_link_free(link);
        return NULL;
    }
    return link;
}

void nbd_link_free(NbdLink *link)
{
    if (link) {
        nbd_stream_free(link->stream);
        g_io_stream_close(G_IO_STREAM(link->connection), NULL, NULL);
        g_object_unref(link->connection);
        g_free(link->export_info.description);
        g_free(link->name);
        g_free(link);
    }
}

void nbd_link_abort(NbdLink *link)
{
    if (link->fixed_newstyle) {
        ask(link, NBD_OPT_ABORT, NULL, ignore_reply, NULL, NULL);
    }
}

/* ---- Going ---- */

static bool take_blocks(NbdLink *link, NbdExport *info, const uint8_t *p, GError **error)
{
    p = nbd_get32(p, &info->min_block);
    p = nbd_get32(p, &info->preferred_block);
    nbd_get32(p, &info->max_payload);
    info->has_blocks = true;
    if (!info->min_block || info->min_block & (info->min_block - 1) ||
        info->min_block > 64 * 1024 || info->preferred_block < info->min_block ||
        info->max_payload < info->min_block) {
        return fail(link, error, "the server's block sizes make no sense");
    }
    return true;
}

/* NBD_REP_INFO: what the server says of the export. */
static bool take_info(NbdLink *link, const NbdOptionReply *reply, void *opaque, GError **error)
{
    NbdExport *info = opaque;
    uint8_t data[2 + NBD_MAX_STRING];
    size_t n = MIN(reply->length, sizeof(data));
    uint16_t kind;

    if (reply->type != NBD_REP_INFO || n < 2) {
        return fail(link, error, "the server's reply is none of NBD");
    }
    if (!receive(link, data, n, error) || !skip(link, reply->length - n, error)) {
        return false;
    }
    nbd_get16(data, &kind);
    if (kind == NBD_INFO_EXPORT && n == 12) {
        nbd_get64(data + 2, &info->size);
        nbd_get16(data + 10, &info->flags);
        return info->flags & NBD_FLAG_HAS_FLAGS ||
               fail(link, error, "the server's flags make no sense");
    }
    if (kind == NBD_INFO_BLOCK_SIZE && n == 14) {
        return take_blocks(link, info, data + 2, error);
    }
    if (kind == NBD_INFO_DESCRIPTION) {
        g_free(info->description);
        info->description = nbd_printable((const char *)data + 2, n - 2);
        return true;
    }
    return (kind != NBD_INFO_EXPORT && kind != NBD_INFO_BLOCK_SIZE) ||
           fail(link, error, "the server's reply has a wrong length");
}

static Answer ask_info(NbdLink *link, NbdOption option, const char *export_name, NbdExport *info,
                       GError **error)
{
    g_autoptr(GByteArray) data = g_byte_array_new();
    uint8_t wanted[6];
    Answer answer;

    set_defaults(info);
    add_string(data, export_name);
    nbd_put16(wanted, 2);
    nbd_put16(wanted + 2, NBD_INFO_BLOCK_SIZE);
    nbd_put16(wanted + 4, NBD_INFO_DESCRIPTION);
    g_byte_array_append(data, wanted, sizeof(wanted));
    answer = ask(link, option, data, take_info, info, error);
    if (answer == ACCEPTED && !info->flags) {
        fail(link, error, "the server does not say how large the export is");
        answer = BROKEN;
    }
    return answer;
}

static bool go_by_name(NbdLink *link, const char *export_name, GError **error)
{
    g_autoptr(GByteArray) message = g_byte_array_new();
    uint8_t head[NBD_OPTION_BYTES], info[10];
    int err;

    set_defaults(&link->export_info);
    nbd_option_put(head, NBD_OPT_EXPORT_NAME, (uint32_t)strlen(export_name));
    g_byte_array_append(message, head, sizeof(head));
    g_byte_array_append(message, (const uint8_t *)export_name, (guint)strlen(export_name));
    if (!transmit(link, message->data, message->len, error)) {
        return false;
    }
    err = nbd_stream_read(link->stream, info, sizeof(info));
    if (err) {
        return err == -ESHUTDOWN
                   ? fail(link, error,
                          "Failed to open the export: the server closed the connection")
                   : fail_io(link, error, err);
    }
    nbd_get64(info, &link->export_info.size);
    nbd_get16(info + 8, &link->export_info.flags);
    return link->no_zeroes || skip(link, NBD_OLD_ZEROES, error);
}

/* NBD_REP_META_CONTEXT, when base:allocation was asked for. */
static bool take_allocation(NbdLink *link, const NbdOptionReply *reply, void *opaque,
                            GError **error)
{
    char text[4 + sizeof(NBD_CONTEXT_ALLOCATION) - 1];

    if (reply->type != NBD_REP_META_CONTEXT || reply->length != sizeof(text)) {
        return fail(link, error, "the server's reply is none of NBD");
    }
    if (!receive(link, text, sizeof(text), error)) {
        return false;
    }
    if (memcmp(text + 4, NBD_CONTEXT_ALLOCATION, sizeof(text) - 4)) {
        return fail(link, error, "the server chose what was not asked for");
    }
    nbd_get32((const uint8_t *)text, &link->allocation);
    link->has_allocation = true;
    return true;
}

/* Of an extension that the server need not have: false if that is not all that is wrong. */
static bool may_be_missing(Answer answer, GError **error, GError **why)
{
    if (answer == BROKEN) {
        g_propagate_error(error, g_steal_pointer(why));
    }
    return answer != BROKEN;
}

static bool ask_structured(NbdLink *link, GError **error)
{
    g_autoptr(GError) why = NULL;
    Answer answer = ask(link, NBD_OPT_STRUCTURED_REPLY, NULL, ignore_reply, NULL, &why);

    link->structured = answer == ACCEPTED;
    return may_be_missing(answer, error, &why);
}

static bool ask_allocation(NbdLink *link, const char *export_name, GError **error)
{
    g_autoptr(GByteArray) data = g_byte_array_new();
    g_autoptr(GError) why = NULL;
    Answer answer;

    add_string(data, export_name);
    add_number(data, 1);
    add_string(data, NBD_CONTEXT_ALLOCATION);
    answer = ask(link, NBD_OPT_SET_META_CONTEXT, data, take_allocation, NULL, &why);
    link->has_allocation &= answer == ACCEPTED;
    return may_be_missing(answer, error, &why);
}

bool nbd_link_go(NbdLink *link, const char *export_name, GError **error)
{
    g_autoptr(GError) why = NULL;
    Answer answer = UNSUPPORTED;

    if (link->oldstyle) {
        link->stream->deadline = 0;
        return !*export_name || fail(link, error, "the server has no names of exports");
    }
    if (link->fixed_newstyle) {
        if (!ask_structured(link, error) ||
            (link->structured && !ask_allocation(link, export_name, error))) {
            return false;
        }
        answer = ask_info(link, NBD_OPT_GO, export_name, &link->export_info, &why);
    }
    if (answer == UNSUPPORTED && !go_by_name(link, export_name, error)) {
        return false;
    }
    if (answer == BROKEN || answer == REFUSED) {
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    link->stream->deadline = 0;
    return true;
}

/* ---- Looking ---- */

static char *take_text(NbdLink *link, uint32_t n, GError **error)
{
    char text[NBD_MAX_STRING];

    if (n > sizeof(text)) {
        fail(link, error, "the server's text is too long");
        return NULL;
    }
    return receive(link, text, n, error) ? g_strndup(text, n) : NULL;
}

/* NBD_REP_SERVER: an export. */
static bool take_export(NbdLink *link, const NbdOptionReply *reply, void *opaque, GError **error)
{
    GPtrArray *list = opaque;
    char *name, *description;
    uint8_t head[4];
    uint32_t n;

    if (reply->type != NBD_REP_SERVER || reply->length < sizeof(head)) {
        return fail(link, error, "the server's reply is none of NBD");
    }
    if (!receive(link, head, sizeof(head), error)) {
        return false;
    }
    nbd_get32(head, &n);
    if (n > reply->length - sizeof(head)) {
        return fail(link, error, "the server's reply has a wrong length");
    }
    name = take_text(link, n, error);
    if (!name) {
        return false;
    }
    g_ptr_array_add(list, name);
    description = take_text(link, reply->length - (uint32_t)sizeof(head) - n, error);
    g_ptr_array_add(list, description);
    return description != NULL;
}

GPtrArray *nbd_link_list(NbdLink *link, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);

    if (!link->fixed_newstyle) {
        fail(link, error, "the server has no lists of its exports");
        return NULL;
    }
    if (!ask_structured(link, error) ||
        ask(link, NBD_OPT_LIST, NULL, take_export, list, error) != ACCEPTED) {
        return NULL;
    }
    return g_steal_pointer(&list);
}

static bool take_context(NbdLink *link, const NbdOptionReply *reply, void *opaque, GError **error)
{
    uint8_t id[4];
    char *text;

    if (reply->type != NBD_REP_META_CONTEXT || reply->length < sizeof(id)) {
        return fail(link, error, "the server's reply is none of NBD");
    }
    if (!receive(link, id, sizeof(id), error)) {
        return false;
    }
    text = take_text(link, reply->length - (uint32_t)sizeof(id), error);
    if (text) {
        g_ptr_array_add(opaque, text);
    }
    return text != NULL;
}

bool nbd_link_info(NbdLink *link, const char *export_name, NbdExport *info, GPtrArray *contexts,
                   GError **error)
{
    g_autoptr(GByteArray) data = g_byte_array_new();
    g_autoptr(GError) why = NULL;

    link->stream->deadline = g_get_monotonic_time() + CONNECT_SECONDS * G_USEC_PER_SEC;
    if (ask_info(link, NBD_OPT_INFO, export_name, info, error) != ACCEPTED) {
        return false;
    }
    if (!link->structured) {
        return true;
    }
    add_string(data, export_name);
    add_number(data, 0);
    return may_be_missing(ask(link, NBD_OPT_LIST_META_CONTEXT, data, take_context, contexts, &why),
                          error, &why);
}
