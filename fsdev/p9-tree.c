/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The nodes of a 9P server; see p9-priv.h. What another program of the host moves is not seen here: its old place has nothing then, or something
 * else.
 */
#include "fsdev/p9-priv.h"

#include <string.h>

static guint hash_node(gconstpointer key)
{
    const P9Node *node = key;

    return g_str_hash(node->name) ^ g_direct_hash(node->parent);
}

static gboolean same_place(gconstpointer a, gconstpointer b)
{
    const P9Node *x = a, *y = b;

    return x->parent == y->parent && !strcmp(x->name, y->name);
}

void p9_tree_init(P9Tree *t)
{
    t->nodes = g_hash_table_new(hash_node, same_place);
    t->n_nodes = 1;
    t->root = g_new0(P9Node, 1);
    t->root->refs = 1;
}

void p9_tree_clear(P9Tree *t)
{
    p9_node_unref(t, g_steal_pointer(&t->root));
    g_assert(!t->n_nodes);
    g_hash_table_unref(t->nodes);
}

P9Node *p9_node_ref(P9Node *node)
{
    node->refs++;
    return node;
}

/* Not recursive: paths are as long as the client likes. */
void p9_node_unref(P9Tree *t, P9Node *node)
{
    while (node && !--node->refs) {
        P9Node *parent = node->parent;

        if (parent && !node->gone) {
            g_hash_table_remove(t->nodes, node);
        }
        g_free(node->name);
        g_free(node);
        t->n_nodes--;
        node = parent;
    }
}

P9Node *p9_tree_look_up(const P9Tree *t, P9Node *dir, const char *name)
{
    const P9Node key = { .parent = dir, .name = (char *)name };

    return g_hash_table_lookup(t->nodes, &key);
}

P9Node *p9_tree_child(P9Tree *t, P9Node *dir, const char *name)
{
    P9Node *node = p9_tree_look_up(t, dir, name);

    if (node) {
        return p9_node_ref(node);
    }
    if (t->n_nodes >= P9_MAX_NODES) {
        return NULL;
    }
    node = g_new(P9Node, 1);
    *node = (P9Node){ .parent = p9_node_ref(dir), .name = g_strdup(name), .refs = 1 };
    g_hash_table_add(t->nodes, node);
    t->n_nodes++;
    return node;
}

/* Written from its end. */
bool p9_node_path(const P9Node *node, char *buf, size_t size)
{
    char *at = buf + size - 1;

    *at = 0;
    for (; node->parent; node = node->parent) {
        size_t len = strlen(node->name), slash = *at != 0;

        if (node->gone || len + slash > (size_t)(at - buf)) {
            return false;
        }
        if (slash) {
            *--at = '/';
        }
        at -= len;
        memcpy(at, node->name, len);
    }
    memmove(buf, at, (size_t)(buf + size - at));
    return true;
}

bool p9_node_is_below(const P9Node *node, const P9Node *above)
{
    while (node && node != above) {
        node = node->parent;
    }
    return node != NULL;
}

void p9_tree_forget(P9Tree *t, P9Node *dir, const char *name)
{
    P9Node *node = p9_tree_look_up(t, dir, name);

    if (node) {
        g_hash_table_remove(t->nodes, node);
        node->gone = true;
    }
}

void p9_tree_move(P9Tree *t, P9Node *dir, const char *name, P9Node *new_dir, const char *new_name)
{
    P9Node *node = p9_tree_look_up(t, dir, name);

    if (!node) {
        p9_tree_forget(t, new_dir, new_name);
        return;
    }
    g_hash_table_remove(t->nodes, node);
    p9_tree_forget(t, new_dir, new_name);
    g_free(node->name);
    node->name = g_strdup(new_name);
    node->parent = p9_node_ref(new_dir);
    g_hash_table_add(t->nodes, node);
    p9_node_unref(t, dir);
}
