/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command check: what is wrong with an image's metadata, and mending it. Exit status 0: nothing (any more), 1: it could not be
 * checked, 2: damage, 3: only leaks, 63: the format has no checks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "img/img-priv.h"

enum { STATUS_DAMAGED = 2, STATUS_LEAKS = 3, STATUS_UNSUPPORTED = 63 };

static void print_human(const NodeCheck *c)
{
    uint64_t total = c->total_clusters;

    if (!c->corruptions && !c->leaks && !c->check_errors) {
        printf("No errors were found on the image.\n");
    }
    if (c->corruptions) {
        printf("\n%" PRIu64 " errors were found on the image.\n"
               "Data may be corrupted, or further writes to the image may corrupt it.\n",
               c->corruptions);
    }
    if (c->leaks) {
        printf("\n%" PRIu64 " leaked clusters were found on the image.\n"
               "This means waste of disk space, but no harm to data.\n",
               c->leaks);
    }
    if (c->check_errors) {
        printf("\n%" PRIu64 " internal errors have occurred during the check.\n", c->check_errors);
    }
    if (total && c->allocated_clusters) {
        printf("%" PRIu64 "/%" PRIu64 " = %0.2f%% allocated, %0.2f%% fragmented, "
               "%0.2f%% compressed clusters\n",
               c->allocated_clusters, total, (double)c->allocated_clusters * 100 / (double)total,
               (double)c->fragmented_clusters * 100 / (double)c->allocated_clusters,
               (double)c->compressed_clusters * 100 / (double)c->allocated_clusters);
    }
    if (c->image_end_offset) {
        printf("Image end offset: %" PRIu64 "\n", c->image_end_offset);
    }
}

static void add_count(ImgJson *json, const char *key, uint64_t n)
{
    if (n) {
        json_number(json, key, n);
    }
}

static void print_json(const BlockNode *node, const NodeCheck *c)
{
    ImgJson json;

    json_begin(&json);
    json_open(&json, NULL, '{');
    add_count(&json, "image-end-offset", c->image_end_offset);
    add_count(&json, "total-clusters", c->total_clusters);
    add_count(&json, "corruptions-fixed", c->corruptions_fixed);
    add_count(&json, "corruptions", c->corruptions);
    json_number(&json, "check-errors", c->check_errors);
    add_count(&json, "leaks-fixed", c->leaks_fixed);
    add_count(&json, "leaks", c->leaks);
    add_count(&json, "allocated-clusters", c->allocated_clusters);
    json_string(&json, "filename", node->name);
    json_string(&json, "format", node->driver->name);
    add_count(&json, "fragmented-clusters", c->fragmented_clusters);
    add_count(&json, "compressed-clusters", c->compressed_clusters);
    json_close(&json, '}');
    json_end(&json);
}

/* Findings go to standard error, also with -q. False: it was said why. */
static bool run_check(BlockNode *node, NodeCheck *check)
{
    g_autoptr(GError) error = NULL;
    bool ok;

    check->report = g_string_new(NULL);
    ok = node->driver->check(node, check, &error);
    fflush(stdout);
    fputs(check->report->str, stderr);
    g_string_free(check->report, TRUE);
    if (!ok) {
        img_error("Check failed: %s", img_error_text(error, node->name));
    }
    return ok;
}

/* What was mended, and another look at the image. */
static bool check_again(const ImgArgs *args, BlockNode *node, NodeCheck *check)
{
    NodeCheck again = {};
    bool json = img_wants_json(args);

    if (!check->leaks_fixed && !check->corruptions_fixed) {
        return true;
    }
    if (!json) {
        img_say(args,
                "The following inconsistencies were found and repaired:\n\n    %" PRIu64
                " leaked clusters\n    %" PRIu64 " corruptions\n\n"
                "Double checking the fixed image now...\n",
                check->leaks_fixed, check->corruptions_fixed);
    }
    if (!run_check(node, &again)) {
        return false;
    }
    again.leaks_fixed = check->leaks_fixed;
    again.corruptions_fixed = check->corruptions_fixed;
    *check = again;
    return true;
}

static int check_node(const ImgArgs *args, BlockNode *node, NodeCheck *check)
{
    if (!node->driver->check) {
        img_error("This image format does not support checks");
        return STATUS_UNSUPPORTED;
    }
    if (!run_check(node, check) || !check_again(args, node, check)) {
        return 1;
    }
    if (img_wants_json(args)) {
        print_json(node, check);
    } else if (!img_has(args, "q")) {
        print_human(check);
    }
    if (check->check_errors) {
        return 1;
    }
    return check->corruptions ? STATUS_DAMAGED : check->leaks ? STATUS_LEAKS : 0;
}

int img_check(const ImgArgs *args)
{
    const char *repair = img_get(args, "r");
    NodeCheck check = {};
    BlockNode *node;
    int status;

    if (repair && strcmp(repair, "leaks") && strcmp(repair, "all")) {
        return img_usage_error("Unknown option value for -r (expecting 'leaks' or 'all'): %s",
                               repair);
    }
    if (args->n_files != 1) {
        return img_usage_error("Expecting one image file name");
    }
    check.fix_leaks = repair != NULL;
    check.fix_errors = repair && !strcmp(repair, "all");
    node = img_open(args, args->files[0], img_get(args, "f"),
                    IMG_REPAIR | IMG_NO_BACKING | (repair ? IMG_WRITE : 0));
    if (!node) {
        return 1;
    }
    status = check_node(args, node, &check);
    return img_close(node) ? 1 : status;
}
