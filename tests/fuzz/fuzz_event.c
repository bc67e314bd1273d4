/* The public messages, as the exporter (a request) and subscribers (events, replies) read them. */
#include <stddef.h>
#include <stdint.h>

#include "event.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    Wanmeter__Event__Event *event = wanmeter__event__event__unpack(NULL, size, bytes);
    if (event)
        wanmeter__event__event__free_unpacked(event, NULL);
    Wanmeter__Event__FetchRequest *request =
        wanmeter__event__fetch_request__unpack(NULL, size, bytes);
    if (request)
        wanmeter__event__fetch_request__free_unpacked(request, NULL);
    Wanmeter__Event__FetchReply *reply = wanmeter__event__fetch_reply__unpack(NULL, size, bytes);
    if (reply)
        wanmeter__event__fetch_reply__free_unpacked(reply, NULL);
    return 0;
}
