"""wanmeter: the built program, run and asked about its database.

    wanmeter = Wanmeter(program, directory)
    wanmeter("replay", path)                    waits, checks the exit code, returns the CompletedProcess
    process = wanmeter.start("run", …)          does not wait
    wanmeter.query("SELECT …")                  rows of ./wanmeter.db, read-only
"""

import os
import shlex
import sqlite3
import subprocess

TIMEOUT_S = 120


class Wanmeter:
    def __init__(self, program, directory):
        self.program, self.directory = str(program), directory
        self.sockets = directory / "t"
        self.sockets.mkdir()
        # Sockets of the processes go here, where they can be looked for afterwards.
        self.environment = dict(os.environ, TMPDIR=str(self.sockets), XDG_RUNTIME_DIR=str(self.sockets), LC_ALL="C.UTF-8",
                                HOME=str(directory))

    def __call__(self, *arguments, check=0, timeout=TIMEOUT_S, stdin=None, stdout=subprocess.PIPE):
        """'check': the exit code that must come, a set of them, or None for any."""
        done = subprocess.run([self.program, *map(str, arguments)], cwd=self.directory, env=self.environment,
                              stdin=stdin or subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True,
                              errors="replace", timeout=timeout)
        expected = {check} if isinstance(check, int) else check
        assert expected is None or done.returncode in expected, \
            f"{shlex.join(done.args)}\nexit code {done.returncode}, expected {check}\n" \
            f"stdout: {(done.stdout or '')[-4000:]}\nstderr: {done.stderr[-4000:]}"
        return done

    def start(self, *arguments, prefix=(), **options):
        """A Popen with its own stdout and stderr pipes; 'prefix' is a command to run it by."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen([*prefix, self.program, *map(str, arguments)], cwd=self.directory,
                                env=self.environment, **options)

    def query(self, sql, parameters=(), database="wanmeter.db"):
        path = self.directory / database
        assert path.exists(), f"no database {path}"
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            connection.close()

    def total(self, database="wanmeter.db"):
        """(packets, l2_bytes, l3_bytes) over all usage rows."""
        return self.query("SELECT ifnull(sum(packets), 0), ifnull(sum(l2_bytes), 0), ifnull(sum(l3_bytes), 0) "
                          "FROM usage", database=database)[0]

    def class_totals(self, database="wanmeter.db"):
        """{class: (packets, l2_bytes, l3_bytes)}"""
        rows = self.query("SELECT class, sum(packets), sum(l2_bytes), sum(l3_bytes) FROM usage GROUP BY class",
                          database=database)
        return {row[0]: row[1:] for row in rows}

    def usage_totals(self, database="wanmeter.db"):
        """{(account, wan, direction, class): (packets, l2_bytes, l3_bytes)}"""
        rows = self.query("SELECT account, wan, direction, class, sum(packets), sum(l2_bytes), sum(l3_bytes) "
                          "FROM usage GROUP BY 1, 2, 3, 4", database=database)
        return {row[:4]: row[4:] for row in rows}

    def losses(self, database="wanmeter.db"):
        return self.query("SELECT stage, reason, packets, l2_bytes, l3_bytes, certainty, evidence FROM loss "
                          "ORDER BY first_ns", database=database)

    def audit(self, check=0, database="wanmeter.db"):
        return self("audit", "--database", database, check=check)
