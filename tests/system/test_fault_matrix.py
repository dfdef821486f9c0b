"""The fault matrix as a table: what is injected, when, and the tests that prove what must hold; all under load.

I1 no refused or reset new connection     I6  counters never decrease
I2 no truncated response                  I7  nothing leaks: processes, descriptors, files
I3 no keep-alive race                     I8  the caller gets a definite result in time
I4 the old generation keeps serving       I9  no access-log line lost or doubled
I5 the pid file names a live master       I10 limits are not doubled
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Row:
    """`proofs`: "file: test, test" without `test_`; `later`: what has to wait, and for what."""

    inject: str
    when: str
    proofs: tuple[str, ...] = ()
    later: str = ""


ROWS = {
    1: Row(
        "syntax error, unknown key, wrong type", "HUP", ("fault_matrix_reload: 1_a_broken_file",)
    ),
    2: Row(
        "port taken, certificate unreadable, module raises, name unresolvable",
        "HUP",
        (
            "fault_matrix_reload: 2_a_taken_port, 2_a_module_that_raises",
            "fault_matrix_reload: 2_a_certificate_that_cannot_be_read",
            "fault_matrix_tls: 2_what_tls_cannot_be_had_with_refuses_the_reload",
            "fault_matrix_reload: 2_a_name_that_does_not_resolve_is_no_reason_to_refuse",
        ),
        later="static root missing: there are no static files",
    ),
    3: Row(
        "worker exits, crashes, is killed before READY; 1 of N, N of N",
        "HUP, USR2",
        (
            "fault_matrix_reload: 3_workers_that_end_before_they_are_ready",
            "master_reload: a_generation_that_cannot_start_is_refused_and_nobody_notices",
            "master_upgrade: a_new_master_whose_workers_fail_is_undone_and_the_cause_is_shown",
        ),
    ),
    4: Row(
        "worker hangs before READY",
        "HUP, USR2",
        (
            "fault_matrix_reload: 4_a_worker_that_hangs_before_it_is_ready",
            "master_upgrade: a_new_master_whose_workers_fail_is_undone_and_the_cause_is_shown",
        ),
    ),
    5: Row(
        "worker crashes on its first request",
        "probation",
        (
            "fault_matrix_reload: 5_a_generation_that_crashes_on_its_first_requests_is_rolled_back",
            "master_reload: a_generation_that_crashes_on_its_first_request_is_rolled_back",
        ),
    ),
    6: Row(
        "50 HUPs at once; a HUP every 0.7 s with long downloads; reloads with open WebSockets",
        "any",
        (
            "fault_matrix_reload: 6_a_burst_of_hups",
            "fault_matrix_reload: 6_a_steady_storm_takes_every_configuration_into_service",
            "fault_matrix_reload: 6_too_many_draining_generations_say_goodbye_to_their_oldest_websockets",
            "master_reload: a_burst_of_hups_is_at_most_two_reloads",
        ),
    ),
    7: Row(
        "kill -9 a worker with a full accept queue",
        "steady",
        (
            "fault_matrix_workers: 7_the_queue_of_a_killed_worker_is_served",
            "fault_matrix_workers: 7_a_killed_worker_under_load_costs_its_own_connections_only",
            "rig_workers: a_killed_worker_is_replaced_in_a_second_and_only_its_requests_are_lost",
        ),
    ),
    8: Row(
        "SIGSTOP or an endless loop in a worker",
        "steady",
        (
            "fault_matrix_workers: 8_a_worker_in_an_endless_loop_is_dumped_and_replaced",
            "master_service: a_stopped_worker_is_detected_its_queue_is_read_and_it_is_replaced",
        ),
    ),
    9: Row(
        "kill -9 a draining worker; it ignores its deadline",
        "drain",
        (
            "fault_matrix_workers: 9_a_killed_draining_worker_costs_its_own_connections_only",
            "master_reload: killing_a_draining_worker_hurts_nobody_and_a_worker_without_end_is_stopped_in_time",
        ),
    ),
    10: Row(
        "all workers crash-loop, then recover",
        "steady",
        (
            "fault_matrix_workers: 10_a_crash_loop_is_seen_backs_off_and_ends_without_a_restart",
            "unit/master_supervisor: a_crash_loop_backs_off_up_to_30_seconds_and_starts_over_after_health",
        ),
    ),
    11: Row(
        "kill -9 the new master at nine points",
        "USR2",
        (
            "fault_matrix_upgrade: 11_a_new_master_that_is_gone_at_this_moment_leaves_the_old_one_serving",
            "fault_matrix_upgrade: 11_a_successor_that_is_killed_is_undone_whatever_it_was_at",
            "master_upgrade: a_new_master_that_is_killed_is_undone",
            "master_service: a_master_that_is_killed_leaves_no_worker_behind",
        ),
    ),
    12: Row(
        "kill -9 the old master at nine points",
        "USR2",
        (
            "fault_matrix_upgrade: "
            "12_an_old_master_that_is_gone_at_this_moment_is_succeeded_if_it_has_given_all",
            "master_upgrade: an_old_master_that_is_killed_leaves_the_service_to_the_new_one",
        ),
    ),
    13: Row(
        "kill -9 both masters; kill -9 everything",
        "any",
        (
            "fault_matrix_workers: 13_orphans_finish_what_they_have_and_leave_the_port_to_a_new_start",
            "fault_matrix_workers: 13_both_masters_of_an_upgrade_killed_leave_nobody_behind",
            "master_host: "
            "kill_9_of_everything_loses_no_queued_connection_when_the_sockets_are_stored",
        ),
    ),
    14: Row(
        "interpreter missing, ImportError, old Python, ENOENT, exit 0 in silence",
        "USR2",
        (
            "fault_matrix_upgrade: 14_a_program_that_cannot_start_is_undone_and_the_cause_is_shown",
            "unit/master_upgrade_decisions: a_successor_that_never_speaks_is_undone_in_ten_seconds",
        ),
    ),
    15: Row(
        "newcomer of another protocol, garbage, stall, unclaimed descriptors, MSG_CTRUNC",
        "take-over",
        (
            "fault_matrix_upgrade: 15_what_the_new_file_does_not_name_is_closed_by_the_newcomer",
            "master_upgrade: a_newcomer_of_another_protocol_is_refused_and_told_to_restart",
            "master_upgrade: a_newcomer_that_takes_everything_and_says_nothing_more_is_given_up",
            "unit/control: too_many_descriptors_are_refused_and_lost_ones_are_noticed",
        ),
    ),
    16: Row(
        "another uid; 10,000 idle connections; a HELLO of 1 MiB",
        "control socket",
        (
            "fault_matrix_host: 16_another_user_is_refused",
            "fault_matrix_host: 16_ten_thousand_idle_connections_and_a_huge_hello",
            "master_service: idle_clients_and_nonsense_do_not_block_the_control_socket",
        ),
    ),
    17: Row(
        "USR2 twice, HUP while UPGRADING, TERM to either before and after COMMIT",
        "USR2",
        (
            "fault_matrix_upgrade: 17_term_to_the_old_one_before_the_commit_ends_everything",
            "fault_matrix_upgrade: 17_term_to_the_old_one_on_probation_stops_both",
            "fault_matrix_upgrade: "
            "17_usr2_to_the_new_one_on_probation_is_refused_and_it_takes_over_all_the_same",
            "fault_matrix_upgrade: 17_term_to_the_new_one_before_the_commit_undoes_the_upgrade",
            "fault_matrix_upgrade: 17_a_new_master_that_hangs_on_probation_does_not_get_the_service",
            "fault_matrix_upgrade: 17_a_failed_upgrade_does_not_stand_in_the_way_of_the_next",
            "fault_matrix_upgrade: 17_a_reload_that_waits_for_an_upgrade_is_done_by_the_new_master",
            "master_upgrade: hup_and_usr2_are_refused_while_the_parent_is_on_probation",
            "master_upgrade: term_to_the_new_master_on_probation_gives_the_service_back",
        ),
    ),
    18: Row(
        "each signal from 0 to 400 ms after exec",
        "BOOT",
        (
            "fault_matrix_host: 18_no_signal_kills_a_successor_while_it_starts",
            "fault_matrix_host: 18_a_stop_while_it_starts_is_an_orderly_end",
            "master_service: no_signal_kills_it_while_it_starts",
        ),
    ),
    19: Row(
        "HUP and INT to the whole group; pid 1 with foreign zombies",
        "steady",
        (
            "fault_matrix_workers: 19_signals_to_the_whole_group_reach_the_master_alone",
            "master_host: as_pid_1_it_survives_its_own_upgrade_and_buries_orphans",
        ),
    ),
    20: Row(
        "workers 4, 1, 4, 8 in slots mode",
        "HUP, TTIN, TTOU",
        (
            "master_reload: workers_4_1_4_in_slots_mode_under_load_lose_nothing",
            "master_service: ttin_and_ttou_keep_every_queue_read",
            "unit/master_stop_and_queues: "
            "queues_made_for_a_refused_generation_are_read_by_the_old_one",
        ),
    ),
    21: Row(
        "listener added, removed, both families, TCP becomes Unix",
        "HUP",
        (
            "fault_matrix_host: 21_listeners_change_kind_and_the_others_are_untouched",
            "master_reload: "
            "a_listener_that_is_added_serves_and_one_that_is_removed_refuses_after_the_commit",
            "master_reload: a_removed_address_refuses_although_the_old_generation_drains_for_long",
        ),
    ),
    22: Row(
        "accepted and silent, half a head or TLS handshake, HTTP/2 preface, pipelined, 100 pending",
        "HUP, USR2",
        (
            "fault_matrix_workers: 22_clients_in_awkward_moments_get_their_first_answer",
            "fault_matrix_workers: 22_an_http2_preface_without_a_request_may_still_have_one",
            "fault_matrix_tls: 22_handshakes_that_have_begun_are_finished_and_answered",
            "fault_matrix_tls: 22_h2_and_websocket_clients_notice_nothing",
        ),
    ),
    23: Row(
        "log folder gone, ENOSPC, rotated file, storm of reopens",
        "USR1",
        (
            "fault_matrix_host: 23_a_storm_of_reopens_loses_and_doubles_no_line",
            "master_service: usr1_reopens_the_log_and_a_failure_keeps_the_old_one",
            "rig_scarcity: a_full_disk_stops_no_request_and_is_counted",
            "rig_observe: the_log_is_reopened_after_it_was_moved_away",
        ),
    ),
    24: Row(
        "EMFILE, stale pid file, clock jump",
        "any",
        (
            "fault_matrix_host: "
            "24_a_master_without_descriptors_goes_on_and_replaces_its_workers_later",
            "fault_matrix_host: 24_no_deadline_of_the_master_or_a_worker_reads_the_time_of_day",
            "master_service: a_stale_pid_file_of_a_foreign_process_does_not_stop_the_start",
            "rig_scarcity: no_descriptor_left_is_survived_and_logged",
        ),
    ),
    25: Row(
        "drop to nobody; a low port on reload with an ambient capability",
        "HUP",
        (
            "fault_matrix_host: 25_a_low_port_is_bound_on_reload_with_an_ambient_capability_alone",
            "master_host: workers_drop_to_the_user_and_die_with_a_killed_master_all_the_same",
        ),
    ),
    26: Row(
        "a service manager that takes notes",
        "all",
        (
            "master_host: a_reload_is_announced_with_its_time_and_ends_with_ready_even_when_refused",
            "master_host: "
            "an_upgrade_names_the_new_main_pid_waits_for_systemd_and_never_says_stopping",
            "master_host: the_watchdog_is_fed_and_the_listeners_are_stored",
        ),
    ),
    27: Row(
        "scrape every 100 ms through reloads, upgrades, a worker's death",
        "HUP, USR2",
        ("fault_matrix_host: 27_counters_never_go_back_and_agree_with_the_clients",),
    ),
    28: Row("a limit of 100 requests a second", "HUP, USR2", later="there are no rate limits"),
    29: Row(
        "session resumption before and after",
        "HUP, USR2",
        (
            "session_tickets: 29_sessions_are_resumed_after_a_reload_and_after_an_upgrade",
            "session_tickets: a_session_is_resumed_by_every_worker",
            "session_tickets: a_reload_with_another_client_ca_ends_the_sessions_of_that_name",
        ),
    ),
    30: Row(
        "two instances, same and different runtime_dir",
        "any",
        (
            "fault_matrix_host: 30_two_instances_side_by_side_do_not_meet",
            "master_service: a_second_instance_is_told_who_runs",
        ),
    ),
}
PROOFS = [
    (number, file.strip(), test.strip())
    for number, row in ROWS.items()
    for file, _, tests in (proof.partition(":") for proof in row.proofs)
    for test in tests.split(",")
]


def names_in(file: str) -> set[str]:
    """The names of the tests of a file, which is in tests/system unless its folder is said."""
    folder, _, name = file.rpartition("/")
    path = TESTS / (folder or "system") / f"test_{name}.py"
    nodes = ast.parse(path.read_text()).body
    return {node.name.removeprefix("test_") for node in nodes if isinstance(node, ast.FunctionDef)}


def test_all_thirty_rows_are_there_with_a_proof_or_a_reason():
    assert list(ROWS) == list(range(1, 31))
    assert [number for number, row in ROWS.items() if not (row.proofs or row.later)] == []


@pytest.mark.parametrize(("number", "file", "test"), PROOFS)
def test_a_proof_exists(number, file, test):
    assert test in names_in(file), f"row {number} names a test that is not there"


@pytest.mark.parametrize("number", [number for number, row in ROWS.items() if row.later])
def test_what_has_to_wait(number):
    pytest.skip(f"row {number}: {ROWS[number].later}")
