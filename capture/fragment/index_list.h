/* index_list: entries of a slab in order, by their index; links stand beside the slab.
 *
 *     index_list_append(&list, links, index);
 *     index_list_remove(&list, links, index);
 *     oldest = list.head;                            INDEX_NONE: empty
 *
 * An entry is in at most one list of each array of links. */
#ifndef WANMETER_CAPTURE_INDEX_LIST_H
#define WANMETER_CAPTURE_INDEX_LIST_H

#include <stdint.h>

#define INDEX_NONE UINT32_MAX

struct index_list {
    uint32_t head;
    uint32_t tail;
};

struct index_link {
    uint32_t before;
    uint32_t after;
};

static inline void index_list_append(struct index_list *list, struct index_link *links,
                                     uint32_t index)
{
    links[index] = (struct index_link){.before = list->tail, .after = INDEX_NONE};
    if (list->tail == INDEX_NONE)
        list->head = index;
    else
        links[list->tail].after = index;
    list->tail = index;
}

static inline void index_list_remove(struct index_list *list, struct index_link *links,
                                     uint32_t index)
{
    struct index_link link = links[index];
    if (link.before == INDEX_NONE)
        list->head = link.after;
    else
        links[link.before].after = link.after;
    if (link.after == INDEX_NONE)
        list->tail = link.before;
    else
        links[link.after].before = link.before;
}

#endif
