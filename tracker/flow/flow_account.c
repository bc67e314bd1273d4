/* Who pays for a flow, when that changes while it lasts. Its account was chosen by its first
 * packet; where an address chose it, a change of the accounts can give it another, from the flow's
 * next packet on. */
#include "tracker/flow/flow_internal.h"

#include "tracker/flow_record.h"

uint16_t flow_account_now(const struct flow_table *flows, const struct connection *connection)
{
    if (connection->account_changes == flows->account_changes || connection->is_account_fixed)
        return connection->account;
    struct tuple tuple;
    connection_table_tuple(flows->connections, connection, &tuple);
    bool is_high = connection->original_end == ORIGINAL_IS_HIGH;
    return account_of_ends(flows->accounts, tuple.ip_version, connection->first_direction,
                           is_high ? tuple.high_address : tuple.low_address,
                           is_high ? tuple.low_address : tuple.high_address);
}

/* A record has one account: what was counted before goes into one of its own. */
__attribute__((noinline)) void flow_renew_account(struct flow_table *flows,
                                                  struct connection *connection, int64_t clock_ns)
{
    uint16_t account = flow_account_now(flows, connection);
    connection->account_changes = flows->account_changes;
    if (account == connection->account)
        return;
    if (flow_record_is_begun(connection))
        flow_cut_interim(flows, connection, clock_ns);
    connection->account = account;
}

/* An entry has room for a number of 8 bits. Before they begin again, all get one that no change
 * has. */
void flow_table_accounts_changed(struct flow_table *flows)
{
    if (flows->account_changes < UINT8_MAX) {
        flows->account_changes++;
        return;
    }
    struct connection *connection = NULL;
    while ((connection = connection_table_next(flows->connections, connection)))
        connection->account_changes = 0;
    flows->account_changes = 1;
}
