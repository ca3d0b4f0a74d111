//! The host's log. Natively messages go to standard error, so that tests show them.

pub use crate::bindings::base::howdah::plugin::log::Level;

/// Logs a line for debugging.
pub fn debug(message: &str) {
    write(Level::Debug, message, &[]);
}

/// Logs something worth knowing.
pub fn info(message: &str) {
    write(Level::Info, message, &[]);
}

/// Logs something that an operator should look at.
pub fn warn(message: &str) {
    write(Level::Warn, message, &[]);
}

/// Logs something that went wrong.
pub fn error(message: &str) {
    write(Level::Error, message, &[]);
}

/// Logs with fields.
#[cfg(target_arch = "wasm32")]
pub fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
    use crate::bindings::base::howdah::plugin::log;
    if log::enabled(level) {
        let fields: Vec<_> = fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        log::log(level, message, &fields);
    }
}

/// Logs with fields.
#[cfg(not(target_arch = "wasm32"))]
pub fn write(level: Level, message: &str, fields: &[(&str, &str)]) {
    eprintln!("{level:?}: {message} {fields:?}");
}

/// Without WASI a panic is silent: the host only sees a trap. So say where and why first.
pub(crate) fn catch_panics() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("panic with a payload that is not text");
        write(Level::Error, &format!("panicked: {message}"), &[("location", &place)]);
    }));
}
