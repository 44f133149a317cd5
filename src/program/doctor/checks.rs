//! The doctor's checks, one function each, in the order in which they are printed: CPUs, memory, time, limits, disk.
//!
//! A check never guesses: what the kernel does not say is `unknown`. What only costs latency is `look`, and `bad` on pinned CPUs of a
//! `LIVE` configuration; what can lose data or secrets, or make stamps lie, is `bad` everywhere.

use std::path::{Path, PathBuf};

use super::{Finding, Subject, Verdict};
use crate::sys::host::{self, Host, cpu_list};

type Check = fn(&Host, &Subject) -> Finding;

const CHECKS: &[Check] = &[
    isolated_cpus,
    tickless_cpus,
    governor,
    idle_states,
    smt_siblings,
    irq_affinity,
    irq_balancer,
    hypervisor,
    cpu_quota,
    huge_page_daemon,
    huge_pages,
    numa_balancing,
    swap,
    clock_source,
    time_discipline,
    watchdog,
    locked_memory,
    open_files,
    core_dumps,
    home_permissions,
    file_system,
    disk_kind,
    free_space,
];

pub(super) fn examine(host: &Host, subject: &Subject) -> Vec<Finding> {
    CHECKS.iter().map(|check| check(host, subject)).collect()
}

const CPU: &str = "sys/devices/system/cpu";

impl Finding {
    fn new(name: &'static str, why: &'static str) -> Self {
        Self {
            name,
            verdict: Verdict::Unknown,
            found: "this kernel does not say".to_owned(),
            why,
            fix: String::new(),
        }
    }

    fn good(mut self, found: impl Into<String>) -> Self {
        self.verdict = Verdict::Good;
        self.found = found.into();
        self
    }

    fn not_good(mut self, verdict: Verdict, found: impl Into<String>, fix: impl Into<String>) -> Self {
        self.verdict = verdict;
        self.found = found.into();
        self.fix = fix.into();
        self
    }

    fn unknown(mut self, found: impl Into<String>) -> Self {
        self.found = found.into();
        self
    }
}

impl Subject {
    /// What costs latency: a doubt, and bad where real money is traded on CPUs that somebody chose.
    fn costs_latency(&self) -> Verdict {
        if self.live && !self.pinned.is_empty() { Verdict::Bad } else { Verdict::Look }
    }

    /// The CPUs looked at: the pinned ones, or every one.
    fn cpus(&self, host: &Host) -> Vec<usize> {
        if !self.pinned.is_empty() {
            return self.pinned.clone();
        }
        host.text(&format!("{CPU}/online")).and_then(|text| cpu_list(&text)).unwrap_or_default()
    }
}

fn list(cpus: &[usize]) -> String {
    let words: Vec<String> = cpus.iter().map(ToString::to_string).collect();
    words.join(",")
}

/// The pinned CPUs that `text` (a CPU list) does not name.
fn missing(subject: &Subject, text: &str) -> Vec<usize> {
    let named = cpu_list(text).unwrap_or_default();
    subject.pinned.iter().copied().filter(|cpu| !named.contains(cpu)).collect()
}

fn isolated_cpus(host: &Host, subject: &Subject) -> Finding {
    let finding = Finding::new(
        "isolated-cpus",
        "on a CPU that the scheduler shares, any process may take a hot thread's turn",
    );
    let Some(isolated) = host.text(&format!("{CPU}/isolated")) else { return finding };
    if subject.pinned.is_empty() {
        let found = format!(
            "no thread is pinned; isolated: {}",
            if isolated.is_empty() { "none" } else { &isolated }
        );
        return finding.not_good(
            Verdict::Look,
            found,
            "set [threads] core_cpu, receiver_cpu and sender_cpu to isolated CPUs in the configuration",
        );
    }
    let shared = missing(subject, &isolated);
    if shared.is_empty() {
        return finding.good(format!("pinned {} of isolated {isolated}", list(&subject.pinned)));
    }
    let wanted = list(&subject.pinned);
    finding.not_good(
        subject.costs_latency(),
        format!("pinned but not isolated: {}", list(&shared)),
        format!("boot with isolcpus=managed_irq,domain,{wanted} (GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub)"),
    )
}

fn tickless_cpus(host: &Host, subject: &Subject) -> Finding {
    let finding = Finding::new(
        "tickless-cpus",
        "the scheduler's tick interrupts a spinning thread up to 1,000 times a second",
    );
    let Some(tickless) = host.text(&format!("{CPU}/nohz_full")) else { return finding };
    if subject.pinned.is_empty() {
        return finding.unknown("no thread is pinned");
    }
    // The kernel writes "(null)" for none.
    let ticking = missing(subject, &tickless);
    if ticking.is_empty() {
        return finding.good(format!("nohz_full {tickless}"));
    }
    let wanted = list(&subject.pinned);
    finding.not_good(
        Verdict::Look,
        format!("ticking: {}", list(&ticking)),
        format!("boot with nohz_full={wanted} rcu_nocbs={wanted}"),
    )
}

fn governor(host: &Host, subject: &Subject) -> Finding {
    let finding =
        Finding::new("governor", "a CPU that changes its frequency answers late after every quiet moment");
    let mut slow = Vec::new();
    let mut seen = false;
    for cpu in subject.cpus(host) {
        let Some(governor) = host.text(&format!("{CPU}/cpu{cpu}/cpufreq/scaling_governor")) else { continue };
        seen = true;
        if governor != "performance" {
            slow.push(format!("CPU {cpu} {governor}"));
        }
    }
    match (seen, slow.is_empty()) {
        (false, _) => finding.unknown("no frequency driver here (usual on a virtual machine)"),
        (true, true) => finding.good("performance"),
        (true, false) => finding.not_good(
            subject.costs_latency(),
            slow.join(", "),
            "cpupower frequency-set --governor performance",
        ),
    }
}

/// Idle states that take longer than this to leave, in microseconds, are deep.
const DEEP: u64 = 2;

fn idle_states(host: &Host, subject: &Subject) -> Finding {
    let finding = Finding::new("idle-states", "leaving a deep idle state takes tens of microseconds");
    let mut deep = Vec::new();
    let mut seen = false;
    for cpu in subject.cpus(host) {
        let states = format!("{CPU}/cpu{cpu}/cpuidle");
        for state in host.names(&states) {
            let Some(latency) = host.number(&format!("{states}/{state}/latency")) else { continue };
            seen = true;
            let disabled = host.number(&format!("{states}/{state}/disable")).is_some_and(|word| word != 0);
            if latency > DEEP && !disabled {
                let name = host.text(&format!("{states}/{state}/name")).unwrap_or(state);
                deep.push(format!("CPU {cpu} {name} ({latency} us)"));
            }
        }
    }
    match (seen, deep.is_empty()) {
        (false, _) => finding.unknown("no idle driver here (usual on a virtual machine)"),
        (true, true) => finding.good(format!("none deeper than {DEEP} us")),
        (true, false) => finding.not_good(
            Verdict::Look,
            shortened(&deep),
            "boot with processor.max_cstate=1 intel_idle.max_cstate=0, or cpupower idle-set --disable-by-latency 2; spinning threads never idle",
        ),
    }
}

fn smt_siblings(host: &Host, subject: &Subject) -> Finding {
    let finding = Finding::new(
        "smt-siblings",
        "two threads on one physical core share its caches and units, and slow each other",
    );
    if subject.pinned.is_empty() {
        return match host.text(&format!("{CPU}/smt/active")) {
            Some(active) if active == "1" => finding.not_good(
                Verdict::Look,
                "SMT is on, and no thread is pinned",
                "pin hot threads to different physical cores, or: echo off > /sys/devices/system/cpu/smt/control",
            ),
            Some(_) => finding.good("SMT is off"),
            None => finding,
        };
    }
    let mut shared = Vec::new();
    let mut seen = false;
    for cpu in &subject.pinned {
        let path = format!("{CPU}/cpu{cpu}/topology/thread_siblings_list");
        let Some(siblings) = host.text(&path).and_then(|text| cpu_list(&text)) else { continue };
        seen = true;
        if siblings.len() > 1 {
            shared.push(format!("CPU {cpu} with {}", list(&siblings)));
        }
    }
    match (seen, shared.is_empty()) {
        (false, _) => finding,
        (true, true) => finding.good("no pinned CPU has a sibling"),
        (true, false) => finding.not_good(
            subject.costs_latency(),
            shared.join(", "),
            "take the siblings offline: echo 0 > /sys/devices/system/cpu/cpuN/online, or echo off > /sys/devices/system/cpu/smt/control",
        ),
    }
}

fn irq_affinity(host: &Host, subject: &Subject) -> Finding {
    let finding =
        Finding::new("irq-affinity", "an interrupt on a hot CPU stops the thread there for microseconds");
    if subject.pinned.is_empty() {
        return finding.unknown("no thread is pinned");
    }
    let mut hit = Vec::new();
    let mut seen = false;
    for irq in host.names("proc/irq").iter().filter(|name| name.parse::<u32>().is_ok()) {
        // What the kernel really uses, where it says so; else what is allowed.
        let file = |name: &str| host.text(&format!("proc/irq/{irq}/{name}")).filter(|text| !text.is_empty());
        let Some(text) = file("effective_affinity_list").or_else(|| file("smp_affinity_list")) else {
            continue;
        };
        seen = true;
        let cpus = cpu_list(&text).unwrap_or_default();
        if subject.pinned.iter().any(|cpu| cpus.contains(cpu)) {
            hit.push(irq.clone());
        }
    }
    match (seen, hit.is_empty()) {
        (false, _) => finding,
        (true, true) => finding.good("no interrupt lands on a pinned CPU"),
        (true, false) => finding.not_good(
            Verdict::Look,
            format!("{} interrupt(s): {}", hit.len(), shortened(&hit)),
            "boot with irqaffinity= of the other CPUs, or: echo LIST > /proc/irq/N/smp_affinity_list",
        ),
    }
}

fn irq_balancer(host: &Host, _: &Subject) -> Finding {
    let finding =
        Finding::new("irq-balancer", "irqbalance moves interrupts back onto the CPUs that you cleared");
    let processes = host.names("proc");
    let running = processes
        .iter()
        .filter(|name| name.parse::<u32>().is_ok())
        .any(|pid| host.text(&format!("proc/{pid}/comm")).as_deref() == Some("irqbalance"));
    match (processes.is_empty(), running) {
        (true, _) => finding,
        (false, false) => finding.good("not running"),
        (false, true) => finding.not_good(
            Verdict::Look,
            "irqbalance runs",
            "systemctl disable --now irqbalance, or IRQBALANCE_BANNED_CPULIST in /etc/default/irqbalance",
        ),
    }
}

fn hypervisor(host: &Host, subject: &Subject) -> Finding {
    let finding = Finding::new(
        "hypervisor",
        "a virtual CPU is taken away by its host without a word; such gaps are in every tail",
    );
    let Some(info) = host.text("proc/cpuinfo") else { return finding };
    let virtual_cpu = info
        .lines()
        .any(|line| line.starts_with("flags") && line.split_whitespace().any(|f| f == "hypervisor"));
    if virtual_cpu {
        finding.not_good(
            subject.costs_latency(),
            "a virtual machine",
            "use a dedicated host, or an instance type with dedicated cores",
        )
    } else {
        finding.good("bare metal")
    }
}

fn cpu_quota(host: &Host, _: &Subject) -> Finding {
    let finding = Finding::new(
        "cpu-quota",
        "a process over its quota is stopped for the rest of the period, up to 100 ms",
    );
    match host.text("sys/fs/cgroup/cpu.max") {
        Some(text) if !text.starts_with("max") => finding.not_good(
            Verdict::Bad,
            format!("cpu.max {text}"),
            "remove the CPU limit of the container or unit (CPUQuota=)",
        ),
        // The root group has no such file: nothing limits it.
        _ => finding.good("no limit"),
    }
}

fn huge_page_daemon(host: &Host, _: &Subject) -> Finding {
    let finding = Finding::new("transparent-huge", "khugepaged may stop a thread while it joins pages");
    let Some(text) = host.text("sys/kernel/mm/transparent_hugepage/enabled") else { return finding };
    if text.contains("[always]") {
        finding.not_good(
            Verdict::Look,
            "always",
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        )
    } else {
        finding.good(text.split(['[', ']']).nth(1).unwrap_or("never").to_owned())
    }
}

fn huge_pages(host: &Host, _: &Subject) -> Finding {
    let finding = Finding::new(
        "huge-pages",
        "the engine's tables are small: plain pages, locked and touched at start, are enough",
    );
    let info = host.text("proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|line| line.strip_prefix("HugePages_Total:")).map(str::trim);
    match total {
        Some(total) => finding.good(format!("{total} reserved (none needed)")),
        None => finding,
    }
}

fn numa_balancing(host: &Host, _: &Subject) -> Finding {
    let finding =
        Finding::new("numa-balancing", "the kernel unmaps pages to see who uses them: each costs a fault");
    match host.text("proc/sys/kernel/numa_balancing").as_deref() {
        None => finding.good("not in this kernel"),
        Some("0") => finding.good("off"),
        Some(_) => finding.not_good(Verdict::Look, "on", "sysctl -w kernel.numa_balancing=0"),
    }
}

fn swap(host: &Host, subject: &Subject) -> Finding {
    let finding = Finding::new(
        "swap",
        "a page that was swapped out comes back after milliseconds, and may leave secrets on the disk",
    );
    let Some(text) = host.text("proc/swaps") else { return finding };
    let areas = text.lines().skip(1).filter(|line| !line.trim().is_empty()).count();
    if areas == 0 {
        return finding.good("none");
    }
    let verdict = if subject.live { Verdict::Bad } else { Verdict::Look };
    finding.not_good(verdict, format!("{areas} area(s)"), "swapoff -a, and remove the line from /etc/fstab")
}

fn clock_source(host: &Host, _: &Subject) -> Finding {
    let finding = Finding::new(
        "clock-source",
        "a clock that is not the CPU's own counter costs a system call or more for each stamp",
    );
    let Some(source) = host.text("sys/devices/system/clocksource/clocksource0/current_clocksource") else {
        return finding;
    };
    let info = host.text("proc/cpuinfo").unwrap_or_default();
    let has = |flag: &str| {
        info.lines().any(|line| line.starts_with("flags") && line.split_whitespace().any(|f| f == flag))
    };
    let arm = source == "arch_sys_counter";
    if arm || (source == "tsc" && has("constant_tsc") && has("nonstop_tsc")) {
        return finding.good(source);
    }
    // kvm-clock is read in user space too, through the same counter.
    if source == "kvm-clock" || source == "tsc" {
        return finding.not_good(Verdict::Look, source, "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource, where it is offered");
    }
    finding.not_good(Verdict::Bad, source, "boot with clocksource=tsc tsc=reliable")
}

/// A clock may be wrong by so much, in microseconds, before signed requests come near the venue's window (5 s) and latencies lie.
const CLOCK_ERROR: u64 = 100_000;

fn time_discipline(_: &Host, subject: &Subject) -> Finding {
    let finding = Finding::new(
        "time-discipline",
        "a clock that nobody steers drifts: venues refuse requests stamped outside their window, and feed latencies lie",
    );
    let Ok(state) = host::clock_discipline() else { return finding };
    let verdict = if subject.live { Verdict::Bad } else { Verdict::Look };
    let fix = "apt-get install chrony && systemctl enable --now chrony (chronyc tracking shows the offset)";
    match state {
        host::Discipline { synchronised: false, .. } => {
            finding.not_good(verdict, "nobody says that the clock is in step", fix)
        }
        host::Discipline { largest_error, .. } if largest_error > CLOCK_ERROR => {
            finding.not_good(verdict, format!("in step to {} ms at best", largest_error / 1_000), fix)
        }
        host::Discipline { largest_error, .. } => {
            finding.good(format!("in step, error at most {largest_error} us"))
        }
    }
}

fn watchdog(host: &Host, _: &Subject) -> Finding {
    let finding = Finding::new(
        "nmi-watchdog",
        "the hard-lockup watchdog takes a performance counter and an interrupt of each CPU",
    );
    match host.text("proc/sys/kernel/nmi_watchdog").as_deref() {
        None | Some("0") => finding.good("off"),
        Some(_) => finding.not_good(Verdict::Look, "on", "sysctl -w kernel.nmi_watchdog=0"),
    }
}

/// Journal segments in use and in preparation, the tables and the stacks.
const LOCKED: u64 = 1 << 30;

fn locked_memory(host: &Host, _: &Subject) -> Finding {
    let finding = Finding::new(
        "locked-memory",
        "memory that cannot be locked may be taken away when the host runs short",
    );
    match host.soft_limit("Max locked memory") {
        None => finding,
        Some(limit) if limit >= LOCKED => finding.good(size(limit)),
        Some(limit) => finding.not_good(
            Verdict::Look,
            size(limit),
            "LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited",
        ),
    }
}

fn open_files(host: &Host, _: &Subject) -> Finding {
    let finding = Finding::new("open-files", "sockets and journal segments are files");
    match host.soft_limit("Max open files") {
        None => finding,
        Some(limit) if limit >= 1_024 => finding.good(limit.to_string()),
        Some(limit) => finding.not_good(
            Verdict::Bad,
            limit.to_string(),
            "LimitNOFILE=65536 in the unit, or ulimit -n 65536",
        ),
    }
}

fn core_dumps(host: &Host, subject: &Subject) -> Finding {
    let finding = Finding::new("core-dumps", "a core file holds the process's memory, its keys included");
    match host.soft_limit("Max core file size") {
        None => finding,
        Some(0) => finding.good("off"),
        Some(_) => {
            let verdict = if subject.live { Verdict::Bad } else { Verdict::Look };
            finding.not_good(verdict, "on", "LimitCORE=0 in the unit, or ulimit -c 0")
        }
    }
}

fn home_permissions(_: &Host, subject: &Subject) -> Finding {
    use std::os::unix::fs::MetadataExt;
    let finding = Finding::new(
        "home-permissions",
        "who may write the home folder may forge a journal or lift a persisted kill",
    );
    let Ok(folder) = std::fs::metadata(&subject.home) else {
        return finding.good(format!("{} is not there yet", subject.home.display()));
    };
    let mode = folder.mode() & 0o777;
    if mode & 0o022 == 0 {
        return finding.good(format!("{} is {mode:03o}", subject.home.display()));
    }
    finding.not_good(
        Verdict::Bad,
        format!("{} is {mode:03o}: others may write", subject.home.display()),
        format!("chmod 700 {}", subject.home.display()),
    )
}

/// The folder itself, or the nearest one above it that exists.
fn existing(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned()
}

/// Mount point, file system type and device of a path, by the longest mount point above it.
fn mount_of(host: &Host, path: &Path) -> Option<(String, String, String)> {
    let text = host.text("proc/self/mountinfo")?;
    let real = std::fs::canonicalize(path).ok()?;
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let mut left = left.split(' ').skip(2);
            let device = left.next()?;
            let point = left.nth(1)?;
            let kind = right.split(' ').next()?;
            real.starts_with(point).then(|| (point.to_owned(), kind.to_owned(), device.to_owned()))
        })
        .max_by_key(|(point, ..)| point.len())
}

fn file_system(host: &Host, subject: &Subject) -> Finding {
    let finding = Finding::new(
        "file-system",
        "the journal is a memory map of preallocated files: that must mean disk blocks, and a flush must reach them",
    );
    let Some((point, kind, _)) = mount_of(host, &existing(&subject.home)) else { return finding };
    let found = format!("{kind} at {point}");
    match kind.as_str() {
        "ext4" | "xfs" => finding.good(found),
        "tmpfs" | "ramfs" => finding.not_good(
            Verdict::Bad,
            format!("{found}: gone with the power"),
            "set [run] home to a folder on a disk",
        ),
        kind if kind.starts_with("nfs") || kind.starts_with("fuse") || kind == "cifs" || kind == "9p" => {
            finding.not_good(
                Verdict::Bad,
                format!("{found}: a map may stall or fail with the network"),
                "set [run] home to a folder on a local disk",
            )
        }
        _ => finding.not_good(
            Verdict::Look,
            format!("{found}: not one that is tested"),
            "ext4 or xfs on a local disk",
        ),
    }
}

fn disk_kind(host: &Host, subject: &Subject) -> Finding {
    let finding = Finding::new(
        "disk",
        "a slow flush keeps the keeper behind, and a segment that is not ready stops the session",
    );
    let Some((_, _, device)) = mount_of(host, &existing(&subject.home)) else { return finding };
    let queue = |up: &str| host.text(&format!("sys/dev/block/{device}{up}/queue/rotational"));
    // A partition has no queue of its own: its disk is the folder above.
    match queue("").or_else(|| queue("/..")).as_deref() {
        Some("0") => finding.good(format!("solid state ({device})")),
        Some(_) => finding.not_good(
            Verdict::Look,
            format!("rotating ({device}), or a virtual disk that says so"),
            "put [run] home on a local NVMe disk",
        ),
        None => finding.unknown(format!("{device} has no queue that says so")),
    }
}

fn free_space(_: &Host, subject: &Subject) -> Finding {
    let finding = Finding::new("free-space", "when the journal cannot be written, trading stops");
    let at = existing(&subject.home);
    let Ok(space) = host::space(&at) else { return finding };
    let found = format!("{} of {} at {}", size(space.free), size(space.total), at.display());
    // A busy day is about a hundred segments.
    let (least, enough) = (subject.segment.saturating_mul(8), subject.segment.saturating_mul(100));
    let fix = format!("free some, or set [run] home elsewhere; {} are a busy day", size(enough));
    if space.free < least {
        finding.not_good(Verdict::Bad, found, fix)
    } else if space.free < enough {
        finding.not_good(Verdict::Look, found, fix)
    } else {
        finding.good(found)
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        u64::MAX => "unlimited".to_owned(),
        bytes if bytes >= 1 << 30 => format!("{} GiB", bytes >> 30),
        bytes if bytes >= 1 << 20 => format!("{} MiB", bytes >> 20),
        bytes => format!("{bytes} bytes"),
    }
}

/// The first few of many.
fn shortened(items: &[String]) -> String {
    const SHOWN: usize = 4;
    let first = items.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if items.len() > SHOWN { format!("{first} and {} more", items.len() - SHOWN) } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host described by files, and what one check says of it.
    struct Described {
        root: tempfile::TempDir,
        subject: Subject,
    }

    impl Described {
        fn new(pinned: &[usize], live: bool) -> Self {
            let root = tempfile::tempdir().unwrap();
            let home = root.path().join("home");
            std::fs::create_dir_all(&home).unwrap();
            Self { subject: Subject { pinned: pinned.to_vec(), home, live, segment: 1 << 20 }, root }
        }

        fn with(self, path: &str, text: &str) -> Self {
            let path = self.root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            self
        }

        fn asked(&self, check: Check) -> Finding {
            check(&Host::below(self.root.path()), &self.subject)
        }
    }

    #[test]
    fn a_pinned_cpu_must_be_isolated_and_the_fix_names_it() {
        let host = Described::new(&[2, 3], true).with("sys/devices/system/cpu/isolated", "2\n");
        let finding = host.asked(isolated_cpus);
        assert_eq!(finding.verdict, Verdict::Bad);
        assert!(finding.found.contains('3') && finding.fix.contains("isolcpus=managed_irq,domain,2,3"));
        let host = Described::new(&[2, 3], true).with("sys/devices/system/cpu/isolated", "2-7\n");
        assert_eq!(host.asked(isolated_cpus).verdict, Verdict::Good);
        assert_eq!(Described::new(&[2], true).asked(isolated_cpus).verdict, Verdict::Unknown);
    }

    #[test]
    fn what_costs_latency_is_bad_only_where_real_money_runs_on_chosen_cpus() {
        for (live, verdict) in [(true, Verdict::Bad), (false, Verdict::Look)] {
            let host = Described::new(&[1], live)
                .with("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n")
                .with("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1,5\n")
                .with("proc/cpuinfo", "flags : tsc hypervisor\n");
            assert_eq!(host.asked(governor).verdict, verdict);
            assert_eq!(host.asked(smt_siblings).verdict, verdict);
            assert_eq!(host.asked(hypervisor).verdict, verdict);
        }
    }

    #[test]
    fn a_deep_idle_state_counts_unless_it_is_disabled() {
        let state = "sys/devices/system/cpu/cpu1/cpuidle/state2";
        let host = |disabled: &str| {
            Described::new(&[1], false)
                .with(&format!("{state}/latency"), "133")
                .with(&format!("{state}/name"), "C6")
                .with(&format!("{state}/disable"), disabled)
        };
        let deep = host("0").asked(idle_states);
        assert!(deep.verdict == Verdict::Look && deep.found.contains("C6 (133 us)"), "{deep:?}");
        assert_eq!(host("1").asked(idle_states).verdict, Verdict::Good);
    }

    #[test]
    fn an_interrupt_counts_where_it_really_lands() {
        let host = Described::new(&[3], false)
            .with("proc/irq/40/smp_affinity_list", "0-7")
            .with("proc/irq/40/effective_affinity_list", "3")
            .with("proc/irq/41/smp_affinity_list", "0-7")
            .with("proc/irq/41/effective_affinity_list", "0");
        let finding = host.asked(irq_affinity);
        assert_eq!((finding.verdict, finding.found.as_str()), (Verdict::Look, "1 interrupt(s): 40"));
    }

    #[test]
    fn each_setting_that_costs_or_leaks_is_found() {
        let cases: [(Check, &str, &str, &str); 9] = [
            (
                huge_page_daemon,
                "sys/kernel/mm/transparent_hugepage/enabled",
                "[always] madvise never",
                "always madvise [never]",
            ),
            (numa_balancing, "proc/sys/kernel/numa_balancing", "1", "0"),
            (swap, "proc/swaps", "Filename Type\n/dev/sda2 partition 8 0 -2\n", "Filename Type\n"),
            (watchdog, "proc/sys/kernel/nmi_watchdog", "1", "0"),
            (cpu_quota, "sys/fs/cgroup/cpu.max", "150000 100000", "max 100000"),
            (irq_balancer, "proc/412/comm", "irqbalance\n", "sshd\n"),
            (
                core_dumps,
                "proc/self/limits",
                "Max core file size        unlimited  unlimited bytes",
                "Max core file size        0  unlimited bytes",
            ),
            (
                open_files,
                "proc/self/limits",
                "Max open files        256  256 files",
                "Max open files        4096  4096 files",
            ),
            (
                locked_memory,
                "proc/self/limits",
                "Max locked memory     65536  65536 bytes",
                "Max locked memory     unlimited unlimited bytes",
            ),
        ];
        for (check, path, wrong, right) in cases {
            let finding = Described::new(&[], false).with(path, wrong).asked(check);
            assert!(finding.verdict > Verdict::Unknown, "{finding:?}");
            let finding = Described::new(&[], false).with(path, right).asked(check);
            assert_eq!(finding.verdict, Verdict::Good, "{finding:?}");
        }
    }

    #[test]
    fn a_slow_clock_is_bad_and_a_steady_counter_is_good() {
        let source = "sys/devices/system/clocksource/clocksource0/current_clocksource";
        let host = Described::new(&[], false).with(source, "hpet\n");
        assert_eq!(host.asked(clock_source).verdict, Verdict::Bad);
        let host = Described::new(&[], false)
            .with(source, "tsc\n")
            .with("proc/cpuinfo", "flags : constant_tsc nonstop_tsc\n");
        assert_eq!(host.asked(clock_source).verdict, Verdict::Good);
    }

    #[test]
    fn a_home_that_others_may_write_is_bad() {
        use std::os::unix::fs::PermissionsExt;
        let host = Described::new(&[], false);
        let set = |mode| {
            std::fs::set_permissions(&host.subject.home, std::fs::Permissions::from_mode(mode)).unwrap()
        };
        set(0o777);
        assert_eq!(host.asked(home_permissions).verdict, Verdict::Bad);
        set(0o700);
        assert_eq!(host.asked(home_permissions).verdict, Verdict::Good);
    }

    #[test]
    fn the_journal_belongs_on_a_local_disk() {
        for (kind, verdict) in [
            ("ext4", Verdict::Good),
            ("tmpfs", Verdict::Bad),
            ("nfs4", Verdict::Bad),
            ("overlay", Verdict::Look),
        ] {
            let line = format!("24 1 8:1 / / rw,relatime shared:1 - {kind} /dev/sda1 rw\n");
            let host = Described::new(&[], false).with("proc/self/mountinfo", &line);
            assert_eq!(host.asked(file_system).verdict, verdict, "{kind}");
        }
    }

    #[test]
    fn space_for_less_than_a_few_segments_is_bad() {
        let mut host = Described::new(&[], false);
        host.subject.segment = 1 << 60;
        assert_eq!(host.asked(free_space).verdict, Verdict::Bad);
        host.subject.segment = 1;
        assert_eq!(host.asked(free_space).verdict, Verdict::Good);
    }
}
