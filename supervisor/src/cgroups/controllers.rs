//! Controllers for the cgroups of servers. A cgroup that has controllers for those below it may hold no process itself (the
//! rule of no internal processes, cgroups(7)), so we move to a leaf first, and whatever we start is started there.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use mcproxy_ipc::processes;

use super::{
    bounds::Controller,
    error::{CgroupsError, io_error},
};

/// The leaf of supervisor, gateway and workers.
const LEAF: &str = "main";
/// How the processor is shared while it is short: a server has 100.
const OUR_WEIGHT: &str = "1000";

/// The controllers that are in force for the cgroups below ours.
#[derive(Debug)]
pub(super) struct Controllers {
    home: PathBuf,
    base: PathBuf,
    in_force: Vec<Controller>,
    /// Those of them that were not in force in our own cgroup before.
    ours: Vec<Controller>,
}

impl Controllers {
    /// Puts into force what there is, for what is made below `base` from now on, and moves us below it, out of `home`.
    pub(super) fn enable(home: &Path, base: &Path) -> Result<Self, CgroupsError> {
        let known = words(&home.join("cgroup.controllers"));
        let wanted: Vec<Controller> = Controller::ALL
            .into_iter()
            .filter(|controller| known.iter().any(|name| name == controller.name()))
            .collect();
        if wanted.is_empty() {
            return Err(CgroupsError::NoControllers { path: home.to_owned(), known: known.join(", ") });
        }
        // The root of the whole machine, which has no type, may have processes and controllers.
        if home.join("cgroup.type").exists() {
            refuse_strangers(home)?;
        }
        let leaf = base.join(LEAF);
        match fs::create_dir(&leaf) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io_error("create", &leaf)(error)),
            Ok(()) | Err(_) => {}
        }
        enter(&leaf)?;
        let before = words(&home.join("cgroup.subtree_control"));
        let mut controllers =
            Self { home: home.to_owned(), base: base.to_owned(), in_force: Vec::new(), ours: Vec::new() };
        let mut refusal = None;
        for controller in wanted {
            match controllers.divide(controller, &before) {
                Ok(()) => controllers.in_force.push(controller),
                Err(error) => refusal = Some(error),
            }
        }
        match refusal {
            Some(error) if controllers.in_force.is_empty() => Err(error),
            _ => {
                if controllers.has(Controller::Cpu) {
                    // Without it all share alike, which is no reason to stop.
                    let _ = put(&leaf.join("cpu.weight"), OUR_WEIGHT);
                }
                Ok(controllers)
            }
        }
    }

    fn divide(&mut self, controller: Controller, before: &[String]) -> Result<(), CgroupsError> {
        let wish = format!("+{}", controller.name());
        if !before.iter().any(|name| name == controller.name()) {
            let control = self.home.join("cgroup.subtree_control");
            put(&control, &wish).map_err(io_error("enable controllers in", &control))?;
            self.ours.push(controller);
        }
        let control = self.base.join("cgroup.subtree_control");
        put(&control, &wish).map_err(io_error("enable controllers in", &control))
    }

    /// Whether it is in force.
    pub(super) fn has(&self, controller: Controller) -> bool {
        self.in_force.contains(&controller)
    }

    /// Those that are not.
    pub(super) fn missing(&self) -> Vec<Controller> {
        Controller::ALL.into_iter().filter(|controller| !self.has(*controller)).collect()
    }

    /// Puts them into force one level further down, in a cgroup without processes.
    pub(super) fn pass_on(&self, below: &Path) -> Result<(), CgroupsError> {
        let control = below.join("cgroup.subtree_control");
        self.in_force.iter().try_for_each(|controller| {
            put(&control, &format!("+{}", controller.name())).map_err(io_error("enable controllers in", &control))
        })
    }
}

impl Drop for Controllers {
    /// Leaves everything as it was found. What cannot be undone is the service manager's to remove.
    fn drop(&mut self) {
        for controller in &self.in_force {
            let _ = put(&self.base.join("cgroup.subtree_control"), &format!("-{}", controller.name()));
        }
        for controller in &self.ours {
            let _ = put(&self.home.join("cgroup.subtree_control"), &format!("-{}", controller.name()));
        }
        let _ = enter(&self.home);
        let _ = fs::remove_dir(self.base.join(LEAF));
    }
}

/// Moves us to a cgroup, with all our threads.
fn enter(path: &Path) -> Result<(), CgroupsError> {
    let procs = path.join("cgroup.procs");
    put(&procs, &std::process::id().to_string()).map_err(io_error("move to", path))
}

/// The rule of no internal processes leaves others in our cgroup no place.
fn refuse_strangers(home: &Path) -> Result<(), CgroupsError> {
    let us = std::process::id().to_string();
    match words(&home.join("cgroup.procs")).into_iter().find(|pid| *pid != us) {
        None => Ok(()),
        Some(pid) => {
            // One of another namespace has the number 0.
            let name = pid.parse().map(processes::name).unwrap_or_default();
            Err(CgroupsError::Shared { path: home.to_owned(), pid, name })
        }
    }
}

fn words(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Writes to a file of the kernel, which takes each write as a request of its own.
pub(super) fn put(path: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().append(true).open(path)?.write_all(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with the files that the kernel makes, as far as they are needed.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn with(controllers: &str, before: &str) -> Self {
            let tree = Self(tempfile::tempdir().expect("a directory"));
            fs::create_dir_all(tree.leaf()).expect("made");
            fs::write(tree.home().join("cgroup.type"), "domain\n").expect("written");
            fs::write(tree.home().join("cgroup.controllers"), controllers).expect("written");
            fs::write(tree.home().join("cgroup.subtree_control"), before).expect("written");
            fs::write(tree.home().join("cgroup.procs"), format!("{}\n", std::process::id())).expect("written");
            for file in ["cgroup.subtree_control", "main/cgroup.procs", "main/cpu.weight"] {
                fs::write(tree.base().join(file), "").expect("written");
            }
            tree
        }

        fn home(&self) -> &Path {
            self.0.path()
        }

        fn base(&self) -> PathBuf {
            self.home().join("base")
        }

        fn leaf(&self) -> PathBuf {
            self.base().join(LEAF)
        }

        fn read(&self, file: &str) -> String {
            fs::read_to_string(self.home().join(file)).expect("it is there")
        }
    }

    #[test]
    fn we_move_to_a_leaf_before_the_controllers_are_divided_and_back_at_the_end() {
        let tree = Tree::with("cpuset cpu io memory pids\n", "");
        let controllers = Controllers::enable(tree.home(), &tree.base()).expect("enabled");
        let us = std::process::id().to_string();
        assert_eq!(tree.read("base/main/cgroup.procs"), us);
        assert_eq!(tree.read("cgroup.subtree_control"), "+memory+pids+cpu");
        assert_eq!(tree.read("base/cgroup.subtree_control"), "+memory+pids+cpu");
        assert_eq!(tree.read("base/main/cpu.weight"), OUR_WEIGHT);
        assert_eq!(controllers.missing(), []);
        drop(controllers);
        assert_eq!(tree.read("base/cgroup.subtree_control"), "+memory+pids+cpu-memory-pids-cpu");
        assert_eq!(tree.read("cgroup.subtree_control"), "+memory+pids+cpu-memory-pids-cpu");
        assert_eq!(tree.read("cgroup.procs"), format!("{us}\n{us}"));
    }

    #[test]
    fn a_controller_that_was_in_force_before_stays_in_force() {
        let tree = Tree::with("memory pids\n", "memory\n");
        let controllers = Controllers::enable(tree.home(), &tree.base()).expect("enabled");
        assert!(controllers.has(Controller::Memory) && controllers.missing() == [Controller::Cpu]);
        drop(controllers);
        assert_eq!(tree.read("cgroup.subtree_control"), "memory\n+pids-pids");
    }

    #[test]
    fn without_a_controller_that_bounds_servers_we_stay_where_we_are() {
        let tree = Tree::with("cpuset hugetlb\n", "");
        let refusal = Controllers::enable(tree.home(), &tree.base()).expect_err("none of ours");
        assert!(refusal.to_string().contains("cpuset, hugetlb"), "{refusal}");
        assert_eq!((tree.read("base/main/cgroup.procs"), tree.read("cgroup.subtree_control")), Default::default());
    }

    #[test]
    fn with_another_process_in_our_cgroup_nothing_is_divided_and_the_other_is_named() {
        let tree = Tree::with("memory\n", "");
        put(&tree.home().join("cgroup.procs"), "1\n").expect("written");
        let refusal = Controllers::enable(tree.home(), &tree.base()).expect_err("not alone");
        let CgroupsError::Shared { pid, name, .. } = &refusal else { panic!("{refusal}") };
        assert_eq!((&**pid, &**name), ("1", &*processes::name(1)));
        assert_eq!(tree.read("cgroup.subtree_control"), "");
    }

    #[test]
    fn what_the_kernel_refuses_is_undone() {
        let tree = Tree::with("memory pids\n", "");
        fs::remove_file(tree.base().join("cgroup.subtree_control")).expect("removed");
        Controllers::enable(tree.home(), &tree.base()).expect_err("refused");
        assert_eq!(tree.read("cgroup.subtree_control"), "+memory+pids-memory-pids");
        assert!(tree.read("cgroup.procs").ends_with(&format!("\n{}", std::process::id())), "we are back");
    }
}
