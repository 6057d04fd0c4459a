/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The names of exports of NBD servers, as files are named on command lines and in images.
 */
#include <string.h>
#include "block/block-priv.h"
#include "block/nbd-client.h"

bool node_is_remote(const char *file)
{
    static const char *const schemes[] = { "nbd:", "nbd+tcp:", "nbd+unix:", "nbds:", "nbds+unix:" };

    for (unsigned i = 0; i < G_N_ELEMENTS(schemes); i++) {
        if (g_str_has_prefix(file, schemes[i])) {
            return true;
        }
    }
    return false;
}

void nbd_address_clear(NbdAddress *address)
{
    g_free(address->path);
    g_free(address->host);
    g_free(address->export_name);
    *address = (NbdAddress){ 0 };
}

static bool fail(const char *name, GError **error, const char *text)
{
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL, "%s: %s", name, text);
    return false;
}

static bool parse_port(const char *text, uint16_t *port)
{
    uint64_t value;

    if (!keyval_parse_uint(text, &value) || !value || value > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

/* "HOST", "HOST:PORT", "[IPV6]:PORT". */
static bool parse_host_port(const char *text, NbdAddress *address)
{
    const char *host = text, *end, *port;

    if (*text == '[') {
        host++;
        end = strchr(text, ']');
        if (!end || (end[1] && end[1] != ':')) {
            return false;
        }
        port = end[1] ? end + 2 : NULL;
    } else {
        end = strchr(text, ':');
        port = end ? end + 1 : NULL;
        end = end ? end : text + strlen(text);
    }
    address->host = end > host ? g_strndup(host, (size_t)(end - host)) : g_strdup("localhost");
    address->port = NBD_DEFAULT_PORT;
    return !port || parse_port(port, &address->port);
}

/* Behind "nbd:". */
static bool parse_plain(const char *name, const char *text, NbdAddress *address, GError **error)
{
    static const char option[] = ":exportname=";
    const char *exp = strstr(text, option);
    g_autofree char *place = exp ? g_strndup(text, (size_t)(exp - text)) : g_strdup(text);

    address->export_name = g_strdup(exp ? exp + strlen(option) : "");
    if (g_str_has_prefix(place, "unix:")) {
        address->path = g_strdup(place + strlen("unix:"));
        return *address->path || fail(name, error, "the path of the socket is missing");
    }
    return (strrchr(place, ':') && parse_host_port(place, address)) ||
           fail(name, error,
                "is not nbd:HOST:PORT[:exportname=NAME] or nbd:unix:PATH[:exportname=NAME]");
}

/* The path that the query gives, or NULL. */
static char *find_socket(const char *query)
{
    g_auto(GStrv) parts = g_strsplit(query ? query : "", "&", -1);

    for (char **part = parts; *part; part++) {
        if (g_str_has_prefix(*part, "socket=")) {
            return g_uri_unescape_string(*part + strlen("socket="), NULL);
        }
    }
    return NULL;
}

/* Behind "nbd://" and its kin. */
static bool parse_uri(const char *name, const char *text, bool is_unix, NbdAddress *address,
                      GError **error)
{
    const char *query = strchr(text, '?');
    g_autofree char *all = query ? g_strndup(text, (size_t)(query - text)) : g_strdup(text);
    char *slash = strchr(all, '/');

    if (slash) {
        *slash = '\0';
    }
    address->export_name = g_uri_unescape_string(slash ? slash + 1 : "", NULL);
    if (!address->export_name) {
        return fail(name, error, "the export's name has a wrong '%'");
    }
    if (!is_unix) {
        return (!strchr(all, '@') && !query && parse_host_port(all, address)) ||
               fail(name, error, "is not nbd://HOST[:PORT]/[EXPORT]");
    }
    address->path = *all ? NULL : find_socket(query ? query + 1 : NULL);
    return (address->path && *address->path) ||
           fail(name, error, "is not nbd+unix:///[EXPORT]?socket=PATH");
}

static bool parse(const char *name, NbdAddress *address, GError **error)
{
    static const struct {
        const char *prefix;
        bool is_unix;
    } schemes[] = { { "nbd://", false }, { "nbd+tcp://", false }, { "nbd+unix://", true } };

    if (g_str_has_prefix(name, "nbds")) {
        return fail(name, error, "TLS is not supported");
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(schemes); i++) {
        if (g_str_has_prefix(name, schemes[i].prefix)) {
            return parse_uri(name, name + strlen(schemes[i].prefix), schemes[i].is_unix, address,
                             error);
        }
    }
    return g_str_has_prefix(name, "nbd:") ? parse_plain(name, name + 4, address, error)
                                          : fail(name, error, "names no NBD export");
}

bool nbd_address_parse(const char *name, NbdAddress *address, GError **error)
{
    *address = (NbdAddress){ 0 };
    if (!parse(name, address, error)) {
        nbd_address_clear(address);
        return false;
    }
    if (strlen(address->export_name) > NBD_MAX_STRING) {
        nbd_address_clear(address);
        return fail(name, error, "the export's name is too long");
    }
    return true;
}

static const char *option_of(const KeyVals *options, const char *prefix, const char *key)
{
    g_autofree char *plain = g_strconcat(prefix, key, NULL);
    g_autofree char *server = g_strconcat(prefix, "server.", key, NULL);
    const char *value = keyvals_get(options, plain);

    return value ? value : keyvals_get(options, server);
}

char *node_remote_name(const KeyVals *options, const char *prefix, GError **error)
{
    const char *path = option_of(options, prefix, "path");
    const char *host = option_of(options, prefix, "host");
    const char *port = option_of(options, prefix, "port");
    const char *exp = option_of(options, prefix, "export");
    g_autofree char *place = NULL;

    if (!path == !host) {
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "nbd: %s",
                    path ? "path and host are both given" : "neither path nor host is given");
        return NULL;
    }
    if (path) {
        place = g_strconcat("nbd:unix:", path, NULL);
    } else {
        place = g_strdup_printf(strchr(host, ':') ? "nbd:[%s]:%s" : "nbd:%s:%s", host,
                                port ? port : G_STRINGIFY(10809));
    }
    return exp ? g_strconcat(place, ":exportname=", exp, NULL) : g_steal_pointer(&place);
}

char *nbd_printable(const char *text, size_t n)
{
    char *valid = g_utf8_make_valid(text, (gssize)n);

    for (char *p = valid; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f) {
            *p = '?';
        }
    }
    return valid;
}
