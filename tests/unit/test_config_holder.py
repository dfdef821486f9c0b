"""Finding the program behind a port in /proc."""

from pingpy.config.holder import holders, listening_inodes, pid_in

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100
   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100
   2: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100
"""


def test_only_sockets_that_listen_on_the_port_count():
    assert listening_inodes(TABLE, 8080) == {"socket:[111]"}
    assert listening_inodes(TABLE, 81) == set()


def test_the_process_that_holds_the_socket_is_named(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(TABLE)
    for pid, name, inode in ((7, "other", 999), (8, "nginx", 333)):
        (tmp_path / f"{pid}/fd").mkdir(parents=True)
        (tmp_path / f"{pid}/comm").write_text(f"{name}\n")
        (tmp_path / f"{pid}/fd/3").symlink_to(f"socket:[{inode}]")
    (tmp_path / "9").mkdir()
    assert holders(80, tmp_path) == [(8, "nginx")]
    assert holders(81, tmp_path) == []


def test_a_pid_file_may_be_missing_or_nonsense(tmp_path):
    file = tmp_path / "p"
    assert pid_in(str(file)) is None
    file.write_text("x")
    assert pid_in(str(file)) is None
    file.write_text("42\n")
    assert pid_in(str(file)) == 42
