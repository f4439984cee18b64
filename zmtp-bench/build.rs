//! Builds the foreign peers whose features are on, and does nothing without one.

fn main() {
    // Without this line Cargo would rerun the script, and with it a C++ build, at every change of the package.
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "libzmq")]
    libzmq::build();
}

#[cfg(feature = "libzmq")]
mod libzmq {
    use std::env;
    use std::path::PathBuf;

    /// Features of Linux with the GNU C library that libzmq's own configuration step would find there.
    ///
    /// The crate that carries the sources replaces that step by an empty `platform.hpp`, which leaves out among others
    /// eventfd (threads would then wake each other through a socket pair), the monotonic clock, and the alignment of
    /// its queues to cache lines. A comparison against such a build would flatter us: what is measured must be what a
    /// distribution ships.
    const LINUX_GNU: &[&str] = &[
        "ZMQ_CACHELINE_SIZE=64",
        "ZMQ_HAVE_EVENTFD=1",
        "ZMQ_HAVE_EVENTFD_CLOEXEC=1",
        "ZMQ_IOTHREAD_POLLER_USE_EPOLL_CLOEXEC=1",
        "HAVE_CLOCK_GETTIME=1",
        "HAVE_FORK=1",
        "HAVE_MKDTEMP=1",
        "HAVE_ACCEPT4=1",
        "HAVE_POSIX_MEMALIGN=1",
        "HAVE_IF_NAMETOINDEX=1",
        "ZMQ_HAVE_NOEXCEPT=1",
        "ZMQ_HAVE_IFADDRS=1",
        "ZMQ_HAVE_PPOLL=1",
        "ZMQ_HAVE_O_CLOEXEC=1",
        "ZMQ_HAVE_SOCK_CLOEXEC=1",
        "ZMQ_HAVE_SO_BINDTODEVICE=1",
        "ZMQ_HAVE_SO_KEEPALIVE=1",
        "ZMQ_HAVE_SO_PEERCRED=1",
        "ZMQ_HAVE_SO_PRIORITY=1",
        "ZMQ_HAVE_TCP_KEEPCNT=1",
        "ZMQ_HAVE_TCP_KEEPIDLE=1",
        "ZMQ_HAVE_TCP_KEEPINTVL=1",
        "ZMQ_HAVE_PTHREAD_SETNAME_2=1",
        "ZMQ_HAVE_PTHREAD_SET_AFFINITY=1",
    ];

    pub(super) fn build() {
        let sodium = sodium();
        let mut flags = env::var("CXXFLAGS").unwrap_or_default();
        if target("OS") == "linux" && target("ENV") == "gnu" {
            for feature in LINUX_GNU {
                flags.push_str(" -D");
                flags.push_str(feature);
            }
        }
        // SAFETY: a build script has one thread here, so nothing reads the environment meanwhile.
        unsafe {
            env::set_var("CXXFLAGS", flags);
            // Optimised and without debugging information in every profile: an unoptimised libzmq makes tests with
            // large messages crawl, and nobody steps through it.
            env::set_var("OPT_LEVEL", "3");
            env::set_var("DEBUG", "false");
        }
        zeromq_src::Build::new().enable_draft(true).with_libsodium(Some(sodium)).build();
    }

    /// Where libsodium-sys-stable has built libsodium from the sources that it carries.
    ///
    /// Its build script takes an installed library or other sources when the environment says so. That is refused here: the peer
    /// would differ from one machine to the next without a trace in the results.
    fn sodium() -> zeromq_src::LibLocation {
        for name in ["SODIUM_LIB_DIR", "SODIUM_USE_PKG_CONFIG", "SODIUM_DIST_DIR"] {
            println!("cargo::rerun-if-env-changed={name}");
            assert!(
                env::var_os(name).is_none(),
                "{name} is set, which replaces the bundled libsodium by another; unset it and build again"
            );
        }
        let library = dependency("DEP_SODIUM_LIB");
        let include = dependency("DEP_SODIUM_INCLUDE");
        assert!(
            library.join("libsodium.a").is_file(),
            "no libsodium.a in {}; run `cargo clean -p libsodium-sys-stable` and build again",
            library.display()
        );
        zeromq_src::LibLocation::new(library, include)
    }

    fn dependency(name: &str) -> PathBuf {
        let path = env::var_os(name);
        assert!(path.is_some(), "{name} is not set; libsodium-sys-stable did not build libsodium from source");
        path.map(PathBuf::from).unwrap_or_default()
    }

    fn target(what: &str) -> String {
        env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default()
    }
}
