//! What wit-bindgen makes of `wit/v0.1`: one module for what every policy has, and one for each role.
//!
//! A component's world is the sum of those that it exports, so a policy may have one role or several, and
//! none imports what it does not use.
#![allow(missing_docs, clippy::all, reason = "generated from wit/v0.1, which documents itself")]

pub mod base {
    //! What every policy imports and exports.
    wit_bindgen::generate!({
        path: "../../wit/v0.1",
        world: "base",
        pub_export_macro: true,
        export_macro_name: "export_base",
        default_bindings_module: "howdah_plugin::bindings::base",
        runtime_path: "::howdah_plugin::wit_bindgen::rt",
        additional_derives: [PartialEq],
        generate_all,
    });
}

macro_rules! role {
    ($module:ident, $inline:literal, $world:literal, $export:literal, $default:literal, { $($with:tt)* }) => {
        pub mod $module {
            //! What a policy of this role exports.
            wit_bindgen::generate!({
                path: "../../wit/v0.1",
                inline: $inline,
                world: $world,
                pub_export_macro: true,
                export_macro_name: $export,
                default_bindings_module: $default,
                runtime_path: "::howdah_plugin::wit_bindgen::rt",
                additional_derives: [PartialEq],
                generate_all,
                with: { $($with)* },
            });
        }
    };
}

role!(
    router,
    "package howdah:sdk; world only-router { export howdah:plugin/router@0.1.0; }",
    "howdah:sdk/only-router",
    "export_router_world",
    "howdah_plugin::bindings::router",
    { "howdah:plugin/types@0.1.0": crate::bindings::base::howdah::plugin::types }
);

role!(
    failover,
    "package howdah:sdk; world only-failover { export howdah:plugin/failover@0.1.0; }",
    "howdah:sdk/only-failover",
    "export_failover_world",
    "howdah_plugin::bindings::failover",
    { "howdah:plugin/types@0.1.0": crate::bindings::base::howdah::plugin::types }
);

role!(
    sync_set,
    "package howdah:sdk; world only-sync-set { export howdah:plugin/sync-set@0.1.0; }",
    "howdah:sdk/only-sync-set",
    "export_sync_set_world",
    "howdah_plugin::bindings::sync_set",
    {
        "howdah:plugin/types@0.1.0": crate::bindings::base::howdah::plugin::types,
        "howdah:plugin/observation@0.1.0": crate::bindings::failover::howdah::plugin::observation
    }
);

role!(
    follow_primary,
    "package howdah:sdk; world only-follow-primary { export howdah:plugin/follow-primary@0.1.0; }",
    "howdah:sdk/only-follow-primary",
    "export_follow_primary_world",
    "howdah_plugin::bindings::follow_primary",
    { "howdah:plugin/types@0.1.0": crate::bindings::base::howdah::plugin::types }
);
