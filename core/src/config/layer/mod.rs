//! The sources of the configuration, laid over each other by figment, each remembering its places.
//!
//! figment merges and knows which layer a value came from; the layer knows at which line, or in which
//! variable. figment's own TOML provider forgets lines, therefore the layers are ours.

mod document;
mod entries;

use std::collections::BTreeMap;

use super::{
    path::KeyPath,
    problem::{Place, Problem},
};
use figment::{
    Figment, Metadata, Profile, Provider,
    value::{Dict, Map, Tag},
};

/// What one source says: the file is read by [`document`], the others by [`entries`].
struct Layer {
    /// Known to figment by this.
    name: &'static str,
    values: Dict,
    places: BTreeMap<KeyPath, Spot>,
    /// For what the layer says nothing about.
    whole: Place,
}

/// Where a key, and its value, stand.
#[derive(Clone)]
struct Spot {
    key: Place,
    value: Place,
}

/// Which part of an entry is at fault.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// The key: it is unknown, or ought not to be here.
    Key,
    /// The value.
    Value,
}

/// All sources together; later ones win.
pub(super) struct Layers {
    layers: Vec<Layer>,
    merged: Figment,
}

impl Layers {
    /// Nothing said: everything is at its default.
    pub(super) fn none() -> Self {
        Self { layers: Vec::new(), merged: Figment::new() }
    }

    /// Adds a TOML file; nothing of it when it is not TOML.
    pub(super) fn add_file(&mut self, name: &str, text: &str) -> Result<(), Problem> {
        let (values, places) = document::read(name, text)?;
        self.add(Layer { name: "file", values, places, whole: Place::File(name.to_owned()) });
        Ok(())
    }

    /// Adds the variables of an environment that are ours.
    pub(super) fn add_environment(&mut self, environment: &[(String, String)]) {
        let (values, places) = entries::read(entries::variables(environment));
        self.add(Layer { name: "environment", values, places, whole: Place::Nowhere });
    }

    /// Adds `--set key=value` flags.
    pub(super) fn add_flags(&mut self, flags: &[(String, String)]) {
        let (values, places) = entries::read(entries::flags(flags));
        self.add(Layer { name: "flags", values, places, whole: Place::Nowhere });
    }

    fn add(&mut self, layer: Layer) {
        self.merged = std::mem::take(&mut self.merged).merge(&layer);
        self.layers.push(layer);
    }

    /// What all layers together say.
    pub(super) fn values(&self) -> Dict {
        let profiles = self.merged.data().expect("our layers never fail to hand out their values");
        profiles.into_values().next().unwrap_or_default()
    }

    /// Where the entry at `path` stands; the nearest table around it when it is not written anywhere.
    pub(super) fn place(&self, path: &KeyPath, tag: Option<Tag>, part: Part) -> Place {
        let author = tag.and_then(|tag| self.merged.get_metadata(tag));
        let author = author.and_then(|author| self.layers.iter().find(|layer| author.name == layer.name));
        let mut around = Some(path.clone());
        while let Some(path) = around {
            let said = |layer: &&Layer| layer.places.contains_key(&path);
            if let Some(layer) = author.filter(said).or_else(|| self.layers.iter().rev().find(said)) {
                let spot = &layer.places[&path];
                return match part {
                    Part::Key => spot.key.clone(),
                    Part::Value => spot.value.clone(),
                };
            }
            around = path.parent();
        }
        self.layers.first().map_or(Place::Nowhere, |layer| layer.whole.clone())
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}
