/* timeout_words: what the rooms of timeout_policy.c share. Only they include it. */
#ifndef WANMETER_TRACKER_TIMEOUT_POLICY_TIMEOUT_WORDS_H
#define WANMETER_TRACKER_TIMEOUT_POLICY_TIMEOUT_WORDS_H

#include <stddef.h>
#include <stdint.h>

/* "not a name: …" */
void timeout_answer_no_name(const char *name, char *out, size_t size);

/* 4, 6; 0: neither inet nor inet6. */
uint8_t timeout_ip_version(const char *l3);

/* Which protocols there are instead. */
void timeout_answer_unsupported(const char *l4, char *out, size_t size);

#endif
