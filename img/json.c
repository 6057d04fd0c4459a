/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON as qemu-img prints it: four spaces a level, a member a line.
 */
#include <stdio.h>
#include <string.h>
#include "img/img-priv.h"

void json_begin(ImgJson *json)
{
    *json = (ImgJson){ .text = g_string_new(NULL) };
}

static void new_line(ImgJson *json)
{
    g_string_append_printf(json->text, "\n%*s", json->depth * 4, "");
}

static void add_quoted(GString *text, const char *value)
{
    g_autofree char *valid = g_utf8_make_valid(value, -1);

    g_string_append_c(text, '"');
    for (const char *p = valid; *p; p++) {
        if (*p == '"' || *p == '\\') {
            g_string_append_printf(text, "\\%c", *p);
        } else if (*p == '\n') {
            g_string_append(text, "\\n");
        } else if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            g_string_append_printf(text, "\\u%04x", (unsigned char)*p);
        } else {
            g_string_append_c(text, *p);
        }
    }
    g_string_append_c(text, '"');
}

static void add_key(ImgJson *json, const char *key)
{
    if (json->more) {
        g_string_append_c(json->text, ',');
    }
    if (json->depth) {
        new_line(json);
    }
    if (key) {
        add_quoted(json->text, key);
        g_string_append(json->text, ": ");
    }
    json->more = true;
}

void json_open(ImgJson *json, const char *key, char bracket)
{
    add_key(json, key);
    g_string_append_c(json->text, bracket);
    json->depth++;
    json->more = false;
}

void json_close(ImgJson *json, char bracket)
{
    json->depth--;
    new_line(json);
    g_string_append_c(json->text, bracket);
    json->more = true;
}

void json_string(ImgJson *json, const char *key, const char *value)
{
    add_key(json, key);
    add_quoted(json->text, value);
}

void json_number(ImgJson *json, const char *key, uint64_t value)
{
    add_key(json, key);
    g_string_append_printf(json->text, "%" G_GUINT64_FORMAT, value);
}

void json_bool(ImgJson *json, const char *key, bool value)
{
    add_key(json, key);
    g_string_append(json->text, value ? "true" : "false");
}

void json_guess(ImgJson *json, const char *key, const char *value)
{
    size_t digits = strspn(value, "0123456789");
    bool number = digits && !value[digits] && digits <= 19 && (digits == 1 || value[0] != '0');

    if (number || !strcmp(value, "true") || !strcmp(value, "false")) {
        add_key(json, key);
        g_string_append(json->text, value);
    } else {
        json_string(json, key, value);
    }
}

void json_end(ImgJson *json)
{
    puts(json->text->str);
    g_string_free(json->text, TRUE);
}
