/* migrations: the numbered steps that make a database, as text (schema/NNNN_name.sql, embedded when
 * building).
 *
 * A database at version n has had steps 1 to n; PRAGMA user_version is n. A step that has been
 * released is never edited: what comes next is a new step. The views (schema/views.sql) are made
 * anew after the steps. */
#ifndef WANMETER_SCHEMA_MIGRATIONS_H
#define WANMETER_SCHEMA_MIGRATIONS_H

enum {
    SCHEMA_APPLICATION_ID = 0x77616e6d, /* PRAGMA application_id: "wanm" */
    SCHEMA_PAGE_BYTES = 16384,          /* of a new database: embed.py */
};

struct migration {
    int version;      /* 1, 2, 3, … */
    const char *name; /* the file's */
    const char *sql;
};

extern const struct migration migrations[];
extern const int n_migrations; /* the newest version */
extern const char schema_views[];

/* The file that all of these make of a database that has nothing yet, worked out when building, of
 * pages of SCHEMA_PAGE_BYTES: where it is not zero. */
struct schema_run {
    int offset;
    int size;
    const unsigned char *bytes;
};

extern const struct schema_run schema_new[];
extern const int n_schema_runs;
extern const int schema_new_size;

#endif
