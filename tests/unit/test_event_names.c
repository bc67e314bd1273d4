/* What subscribers are told of labels and classes: names, where there are any. */
#include "config_case.h"

#include "common/config/config_labels.h"
#include "event.pb-c.h"
#include "proto/event.h"

struct told {
    char label_names[256], class_name[64];
    uint8_t labels[LABELS_SIZE];
};

static struct told told_of(const char *yaml, const struct event *event)
{
    static const char *protocol_names[256];
    static uint8_t room[EVENT_SIZE_MAX];
    struct config config;
    struct label_names names;
    init_from(&config, yaml);
    config_label_names(&config, &names);
    struct event_context context = {
        .config = &config, .protocol_names = protocol_names, .labels = &names};
    size_t size = event_encode(event, &context, room);
    assert_true(size <= sizeof room);
    Wanmeter__Event__Event *wire = wanmeter__event__event__unpack(NULL, size, room);
    assert_non_null(wire);
    struct told told = {0};
    if (event->kind == TOPIC_USAGE) {
        snprintf(told.class_name, sizeof told.class_name, "%s", wire->usage->class_);
    } else {
        assert_int_equal(wire->connection->labels.len, LABELS_SIZE);
        memcpy(told.labels, wire->connection->labels.data, LABELS_SIZE);
        snprintf(told.label_names, sizeof told.label_names, "%s", wire->connection->label_names);
    }
    wanmeter__event__event__free_unpacked(wire, NULL);
    config_deinit(&config);
    return told;
}

static void test_a_connection_s_labels_are_told_by_name(void **state)
{
    (void)state;
    struct event event = {.topic = "new.none", .kind = TOPIC_NEW};
    event.connection.flow.ip_version = 4;
    labels_set(event.connection.flow.labels, 17);
    labels_set(event.connection.flow.labels, 3);
    labels_set(event.connection.flow.labels, 127);
    static const char yaml[] = "labels: [17 gold, 3 two words, 4 other]\n";
    struct told told = told_of(yaml, &event);
    assert_string_equal(told.label_names, "two words,gold");
    assert_memory_equal(told.labels, event.connection.flow.labels, LABELS_SIZE);
    assert_string_equal(told_of("", &event).label_names, "");
}

static void test_the_longest_names_of_all_bits_have_room(void **state)
{
    (void)state;
    struct event event = {.topic = "new.none", .kind = TOPIC_NEW};
    event.connection.flow.ip_version = 6;
    memset(event.connection.flow.labels, 0xff, LABELS_SIZE);
    static char yaml[LABEL_BITS * (LABEL_NAME_MAX + 16)];
    size_t length = (size_t)snprintf(yaml, sizeof yaml, "labels:\n");
    for (int bit = 0; bit < LABEL_BITS; bit++)
        length += (size_t)snprintf(yaml + length, sizeof yaml - length, "  - %d %0*d\n", bit,
                                   LABEL_NAME_MAX, bit);
    told_of(yaml, &event); /* it asserts the size */
}

static void test_usage_has_the_class_s_name(void **state)
{
    (void)state;
    static const char yaml[] = "classes: [voice, game]\n";
    struct event event = {.topic = "usage.none", .kind = TOPIC_USAGE};
    event.usage.class_index = CLASS_USER_FIRST + 1;
    assert_string_equal(told_of(yaml, &event).class_name, "game");
    event.usage.class_index = CLASS_USER_FIRST + 2; /* a tracker with another configuration */
    assert_string_equal(told_of(yaml, &event).class_name, "unknown");
    event.usage.class_index = CLASS_ARP;
    assert_string_equal(told_of(yaml, &event).class_name, "arp");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_s_labels_are_told_by_name),
        cmocka_unit_test(test_the_longest_names_of_all_bits_have_room),
        cmocka_unit_test(test_usage_has_the_class_s_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
