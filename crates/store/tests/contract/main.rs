//! What every store owes its callers, asked of each of them.
//! A new store adds one line to `keeps_its_promises!` and the function that opens it.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands, also in its helpers")]

mod given;

mod baselines;
mod exchanges;
mod logs;
mod rename;
mod retention;
mod scans;
mod stats;
mod tenants;
mod threats;

mod copy;
mod feed;
mod mongo;
mod sqlite;

macro_rules! keeps_its_promises {
    ($name:ident, $open:path) => {
        mod $name {
            keeps_its_promises!(@ $open;
                logs::the_newest_come_first,
                logs::ids_rise_with_the_order_of_recording,
                logs::tenants_never_see_each_other,
                logs::benign_logs_are_kept_but_are_no_threats,
                logs::resolving_twice_keeps_the_first_moment,
                logs::another_tenants_log_is_not_there,
                logs::anyone_may_resolve_where_nobody_is_asked_who_he_is,
                logs::cursors_neither_skip_nor_repeat_while_others_write,
                logs::the_last_page_says_that_it_is_the_last,
                logs::every_filter_agrees_with_a_naive_one,
                logs::odd_texts_come_back_as_they_went,
                logs::a_log_of_nobody_is_refused,
                logs::a_key_stores_its_entry_once,
                logs::a_key_of_another_entry_is_told_apart,
                logs::concurrent_retries_store_once,
                logs::keys_of_different_tenants_do_not_meet,
                logs::an_analysis_comes_back_with_what_a_model_said,
                logs::a_late_opinion_raises_a_log_wherever_it_is_seen,
                logs::a_late_opinion_never_lowers_a_score,
                logs::a_late_opinion_leaves_a_resolved_log_resolved,
                logs::a_late_opinion_of_another_tenants_log_changes_nothing,
                threats::the_oldest_come_first_and_none_before_the_cursor,
                threats::benign_logs_are_left_out_and_resolved_threats_are_not,
                threats::a_raised_log_stands_in_its_old_place,
                threats::another_tenants_threats_are_not_there,
                threats::an_id_of_nobody_is_a_position,
                threats::large_threats_come_in_short_pages_and_none_is_missed,
                threats::whoever_walks_under_eight_writers_misses_none_and_gets_none_twice,
                retention::what_is_older_goes_with_its_counts_and_the_rest_stays,
                retention::a_log_whose_id_is_ahead_of_its_receipt_goes_in_time,
                retention::exchanges_go_by_their_own_age,
                retention::a_tenant_that_changed_its_plan_keeps_what_the_new_one_keeps,
                retention::tenants_are_listed_by_their_plan,
                rename::everything_moves_at_once,
                rename::a_new_tenant_may_take_the_old_name_and_sees_nothing,
                rename::nothing_is_lost_or_doubled_under_eight_writers,
                stats::minutes_agree_with_a_recount_of_the_logs,
                stats::resolved_logs_still_count,
                stats::minutes_are_half_open_and_only_the_tenants_own,
                tenants::names_are_unique_whatever_their_case,
                tenants::only_one_of_many_gets_a_name,
                tenants::a_key_leads_to_its_tenant,
                tenants::a_refused_sign_up_leaves_nothing_behind,
                tenants::what_is_not_changed_stays,
                tenants::a_model_is_always_asked_until_that_is_changed,
                tenants::an_unknown_tenant_cannot_be_changed,
                scans::the_newest_come_first_page_by_page,
                scans::a_scan_comes_back_as_it_went,
                scans::rows_are_paged_each_once_and_only_when_the_scan_is_done,
                scans::no_more_rows_are_kept_than_agreed,
                scans::a_scan_runs_once_at_a_time_and_its_attempts_are_counted,
                scans::a_scan_that_is_put_back_was_never_started,
                scans::what_has_not_ended_is_found_again_in_order,
                scans::a_failed_scan_says_why_and_stays_failed,
                scans::a_discarded_scan_is_cancelled_and_then_removed,
                scans::a_cancelled_scan_takes_no_report,
                scans::another_tenants_scan_is_not_there,
                scans::a_scan_of_nobody_is_refused,
                baselines::a_baseline_comes_back_as_it_went,
                baselines::a_name_is_taken_once_for_each_tenant,
                baselines::a_tenant_has_at_most_a_hundred,
                baselines::a_removed_baseline_is_gone,
                exchanges::what_was_sent_comes_back_byte_for_byte,
                exchanges::another_tenant_sees_nothing,
                exchanges::a_verdict_answers_until_it_expires,
                exchanges::several_questions_are_answered_at_once,
                exchanges::a_verdict_for_a_known_key_takes_the_formers_place,
                exchanges::a_day_costs_what_its_exchanges_cost_together,
                exchanges::an_exchange_is_kept_whole_or_not_at_all,
                store::it_answers_when_it_works,
            );
        }
    };
    (@ $open:path; $($room:ident::$promise:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let opened = $open().await;
                crate::$room::$promise(opened.store.clone()).await;
            }
        )*
    };
}

keeps_its_promises!(on_sqlite, crate::sqlite::open_anew);
keeps_its_promises!(on_mongo, crate::mongo::open_anew);

mod store {
    use crate::given::AnyStore;

    pub(crate) async fn it_answers_when_it_works(store: AnyStore) {
        store.ping().await.unwrap();
    }
}
