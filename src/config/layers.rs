//! Merges layers of configuration: flags override environment variables, which override the file.

use super::options::Options;

impl Options {
    /// Merges this layer over `below`. A list replaces the list below it.
    #[must_use]
    pub fn or(self, below: Options) -> Options {
        Options {
            input_format: self.input_format.or(below.input_format),
            max_line: self.max_line.or(below.max_line),
            journal: self.journal.or(below.journal),
            namespace: self.namespace.or(below.namespace),
            merge: self.merge.or(below.merge),
            journal_backend: self.journal_backend.or(below.journal_backend),
            since: self.since.or(below.since),
            until: self.until.or(below.until),
            boot: self.boot.or(below.boot),
            after_cursor: self.after_cursor.or(below.after_cursor),
            lines: self.lines.or(below.lines),
            follow: self.follow.or(below.follow),
            identifier: self.identifier.or(below.identifier),
            manager: self.manager.or(below.manager),
            default_identifier: self.default_identifier.or(below.default_identifier),
            others: self.others.or(below.others),
            component: self.component.or(below.component),
            keep: self.keep.or(below.keep),
            drop: self.drop.or(below.drop),
            rename: self.rename.or(below.rename),
            lowercase: self.lowercase.or(below.lowercase),
            strip_underscores: self.strip_underscores.or(below.strip_underscores),
            prune: self.prune.or(below.prune),
            nested: self.nested.or(below.nested),
            r#for: self.r#for.or(below.r#for),
            format: self.format.or(below.format),
            schema: self.schema.or(below.schema),
            output: self.output.or(below.output),
            output_dir: self.output_dir.or(below.output_dir),
            split: self.split.or(below.split),
            compress: self.compress.or(below.compress),
            resume: self.resume.or(below.resume),
            force: self.force.or(below.force),
            color: self.color.or(below.color),
            tag: self.tag.or(below.tag),
            tag_key: self.tag_key.or(below.tag_key),
            time_key: self.time_key.or(below.time_key),
            time_format: self.time_format.or(below.time_format),
            max_record: self.max_record.or(below.max_record),
            threads: self.threads.or(below.threads),
            sort: self.sort.or(below.sort),
            sort_memory: self.sort_memory.or(below.sort_memory),
            delta: self.delta.or(below.delta),
            to: self.to.or(below.to),
            spread: self.spread.or(below.spread),
            forward_mode: self.forward_mode.or(below.forward_mode),
            time_as_integer: self.time_as_integer.or(below.time_as_integer),
            syslog_format: self.syslog_format.or(below.syslog_format),
            syslog_framing: self.syslog_framing.or(below.syslog_framing),
            syslog_facility: self.syslog_facility.or(below.syslog_facility),
            syslog_max: self.syslog_max.or(below.syslog_max),
            syslog_enterprise: self.syslog_enterprise.or(below.syslog_enterprise),
            batch_size: self.batch_size.or(below.batch_size),
            batch_age: self.batch_age.or(below.batch_age),
            ack_timeout: self.ack_timeout.or(below.ack_timeout),
            give_up_after: self.give_up_after.or(below.give_up_after),
            shared_key_file: self.shared_key_file.or(below.shared_key_file),
            user: self.user.or(below.user),
            password_file: self.password_file.or(below.password_file),
            self_hostname: self.self_hostname.or(below.self_hostname),
            tls_ca: self.tls_ca.or(below.tls_ca),
            tls_cert: self.tls_cert.or(below.tls_cert),
            tls_key: self.tls_key.or(below.tls_key),
            tls_insecure: self.tls_insecure.or(below.tls_insecure),
            record_id: self.record_id.or(below.record_id),
            refused: self.refused.or(below.refused),
            state_dir: self.state_dir.or(below.state_dir),
            once: self.once.or(below.once),
            spool: self.spool.or(below.spool),
            spool_limit: self.spool_limit.or(below.spool_limit),
            spool_full: self.spool_full.or(below.spool_full),
            check: self.check.or(below.check),
            progress: self.progress.or(below.progress),
            listen: self.listen.or(below.listen),
            stats: self.stats.or(below.stats),
            strict: self.strict.or(below.strict),
            fail_if_empty: self.fail_if_empty.or(below.fail_if_empty),
            verbose: self.verbose.or(below.verbose),
        }
    }

    /// Returns every key of the configuration file, in the order of the help.
    #[must_use]
    pub fn keys() -> Vec<String> {
        let command = <Options as clap::Args>::augment_args(clap::Command::new("keys"));
        command.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned)).collect()
    }
}
