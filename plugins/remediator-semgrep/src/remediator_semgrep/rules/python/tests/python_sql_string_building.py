import sqlite3

from psycopg2 import sql
from sqlalchemy import text


def read(cursor, name, number, table):
    # ruleid: python-sql-string-building
    cursor.execute("SELECT * FROM users WHERE name = '%s'" % name)
    # ruleid: python-sql-string-building
    cursor.execute("SELECT * FROM users WHERE name = '" + name + "'")
    # ruleid: python-sql-string-building
    cursor.execute("SELECT * FROM users WHERE name = '{}'".format(name))
    # ruleid: python-sql-string-building
    cursor.execute(f"select * from users where name = '{name}'")
    query = "DELETE FROM users WHERE name = '%s'" % (name,)
    # ruleid: python-sql-string-building
    cursor.execute(query)
    # ruleid: python-sql-string-building
    session.execute(text(f"UPDATE users SET name = '{name}'"))
    # ruleid: python-sql-string-building
    User.objects.raw("SELECT * FROM users WHERE name = '%s'" % name)
    statement = f"""
        INSERT INTO users
        VALUES ('{name}')
    """
    # ruleid: python-sql-string-building
    cursor.executescript(statement)
    # ruleid: python-sql-string-building
    cursor.execute("SELECT * FROM %s WHERE id = ?" % table, (number,))
    # ruleid: python-sql-string-building
    cursor.execute(f"SELECT * FROM users " f"WHERE name = '{name}'")
    later = f'select * from users where name = "{name}"'
    # ruleid: python-sql-string-building
    cursor.execute(later)


def safe(cursor, name, number):
    # ok: python-sql-string-building
    cursor.execute("SELECT * FROM users WHERE name = ?", (name,))
    # ok: python-sql-string-building
    cursor.execute("SELECT * FROM users WHERE name = %s", (name,))
    # ok: python-sql-string-building
    cursor.execute("SELECT * FROM users " + "WHERE name = ?", (name,))
    # ok: python-sql-string-building
    cursor.execute("SELECT * FROM users WHERE id = %d" % int(number))
    # ok: python-sql-string-building
    cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(name)))
    # ok: python-sql-string-building
    cursor.execute("SELECT * FROM users WHERE id = %d" % number)
    # ok: python-sql-string-building
    cursor.execute("SELECT * FROM users WHERE id IN (%s)" % ",".join("?" * len(name)), name)
    # ok: python-sql-string-building
    cursor.execute("SELECT * FROM users WHERE id IN ({})".format(", ".join(["%s"] * len(name))), name)
    # ok: python-sql-string-building
    executor.execute("task %s" % name)
    # ok: python-sql-string-building
    log.info("SELECT * FROM %s" % name)
