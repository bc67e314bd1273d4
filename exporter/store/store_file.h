/* store_file: SQLite's way to the database's log, with fewer and larger writes.
 *
 *     store_file_register();                              once, before the database is opened
 *     sqlite3_open_v2(path, &db, flags, STORE_FILE_VFS);
 *
 * SQLite writes the log by 24 bytes of a frame's header and a page in turn, each with a call of its
 * own. Here what follows right behind the write before is gathered, and written at once: when it is
 * STORE_FILE_GATHERED bytes, when something else is written, and before the log is synchronized,
 * cut, measured or closed. What is gathered is read from where it is.
 *
 * Nothing is promised later than it was: with synchronous FULL others are told of a commit after
 * its sync, which writes what is gathered first. A write that fails may be told of by a later call
 * of the same transaction, at its sync at the latest.
 *
 * Not so the database itself: a checkpoint that a reader holds back is not synchronized, and others
 * are told of it by memory that they share.
 *
 * Everything else is SQLite's own VFS of this system. Not thread-safe: one connection. */
#ifndef WANMETER_EXPORTER_STORE_FILE_H
#define WANMETER_EXPORTER_STORE_FILE_H

#define STORE_FILE_VFS "wanmeter"

enum { STORE_FILE_GATHERED = 0x1ffff /* the most that SQLite's VFS of Unix writes in one call */ };

/* Again: nothing. SQLITE_OK, or SQLite's error. */
int store_file_register(void);

#endif
