/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is said of a node beyond the name of its file: "file.driver" = "nbd", "backing.file.filename" = "x", "lazy-refcounts" = "on".
 * It comes as "key=value,..." or as a file's name that is "json:{...}"; objects within objects are keys with dots. Who knows an option
 * takes it out; what is left when the node is open is refused.
 */
#ifndef BLOCK_OPTIONS_H
#define BLOCK_OPTIONS_H

#include "block/node.h"
#include "util/keyval.h"

NodeDict *node_dict_new(void);
void node_dict_free(NodeDict *dict);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NodeDict, node_dict_free)

/* Adds the members of the JSON object @text, without "json:" in front of it. False: it is none. */
bool node_dict_add_json(NodeDict *dict, const char *text, GError **error);
void node_dict_add_keyvals(NodeDict *dict, const KeyVals *options);
/* Replaces what is there for @key. */
void node_dict_set(NodeDict *dict, const char *key, const char *value);
/* NULL: there is no such. Borrowed. */
const char *node_dict_get(const NodeDict *dict, const char *key);
/* The same, and it is gone; valid as long as @dict. */
const char *node_dict_take(NodeDict *dict, const char *key);
/* Those whose key begins with @prefix, without it: they are gone from @dict. Never NULL. */
NodeDict *node_dict_take_below(NodeDict *dict, const char *prefix);
/* Leaves @value alone if @key is not there. False: it is neither on nor off. */
bool node_dict_take_bool(NodeDict *dict, const char *key, bool *value, GError **error);
unsigned node_dict_count(const NodeDict *dict);
const char *node_dict_key(const NodeDict *dict, unsigned i);

/* The file and the format of a node, out of @options' file (a "json:{...}" perhaps, or "file:NAME") and dict, and how it is opened. What
 * it makes of them lives as long as *@keep, which is new and to be freed by the caller; @options->dict becomes *@keep. */
bool node_options_resolve(NodeOptions *options, NodeDict **keep, GError **error);

/* "file", "host_device" or "nbd". */
bool node_is_protocol(const char *driver);

#endif
