//! The cubins a plan needs: from the engine if it has them for this architecture, else compiled from its sources.

use super::RunError;
use crate::engine::{Engine, StoredCubin};
use crate::plan::Plan;
use limpid_kernels::device::{Compiler, Cubin, CubinCache, CubinKey, Program};
use limpid_kernels::launch::CompileUnit;
use limpid_kernels::source;
use limpid_kernels::target::Arch;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Cubins by unit, for one architecture.
pub struct Kernels<'a> {
    arch: Arch,
    /// Texts to compile from; this binary's where an engine brings none.
    sources: Option<&'a BTreeMap<String, String>>,
    cache: &'a CubinCache,
    compiler: Option<Compiler>,
    /// Those that an engine brings, where they lie in it.
    stored: BTreeMap<&'a CompileUnit, &'a Cubin>,
    cubins: BTreeMap<CompileUnit, Arc<Cubin>>,
    compiled: usize,
}

impl<'a> Kernels<'a> {
    /// Kernels of this binary.
    pub fn of_this_binary(arch: Arch, cache: &'a CubinCache) -> Self {
        Self {
            arch,
            sources: None,
            cache,
            compiler: None,
            stored: BTreeMap::new(),
            cubins: BTreeMap::new(),
            compiled: 0,
        }
    }

    /// Kernels of an engine: its cubins where they are for `arch`, else compiled from its sources.
    pub fn of_engine(engine: &'a Engine, arch: Arch, cache: &'a CubinCache) -> Self {
        let stored = engine.cubins.iter().filter(|c| c.arch == arch).map(|c| (&c.unit, &c.cubin)).collect();
        Self { sources: Some(&engine.sources), stored, ..Self::of_this_binary(arch, cache) }
    }

    /// Brings every kernel of `plan`; NVRTC is asked for only if one is missing.
    pub fn prepare(&mut self, plan: &Plan) -> Result<(), RunError> {
        self.bring(plan.units())
    }

    /// Brings these kernels; NVRTC is asked for only if one is missing.
    pub fn bring<'u>(&mut self, units: impl IntoIterator<Item = &'u CompileUnit>) -> Result<(), RunError> {
        let mut missing = BTreeSet::new();
        for unit in units {
            match self.stored.get(unit) {
                _ if self.cubins.contains_key(unit) => {}
                Some(&cubin) => drop(self.cubins.insert(unit.clone(), Arc::new(cubin.clone()))),
                None => drop(missing.insert(unit)),
            }
        }
        self.compile(&missing)
    }

    fn compile(&mut self, units: &BTreeSet<&CompileUnit>) -> Result<(), RunError> {
        if units.is_empty() {
            return Ok(());
        }
        if self.compiler.is_none() {
            let missing = || units.iter().map(|unit| unit.entry.clone()).collect::<BTreeSet<_>>();
            let compiler = Compiler::new().map_err(|source| match self.sources {
                Some(_) => RunError::NotCarried { kernels: missing().into_iter().collect(), source },
                None => source.into(),
            });
            self.compiler = Some(compiler?);
        }
        let Some(compiler) = &self.compiler else { return Ok(()) };
        let (arch, cache, sources) = (self.arch, self.cache, self.sources);
        let units: Vec<&CompileUnit> = units.iter().copied().collect();
        let compiled: Vec<(CompileUnit, Arc<Cubin>)> = units
            .par_iter()
            .with_max_len(1)
            .map(|&unit| {
                let program = program(unit, sources)?;
                let key = CubinKey::new(&program, unit, arch, compiler.version());
                let cubin = cache.get_or_insert_with(key, || compiler.compile_program(&program, unit, arch))?;
                Ok((unit.clone(), cubin))
            })
            .collect::<Result<_, RunError>>()?;
        self.compiled += compiled.len();
        self.cubins.extend(compiled);
        Ok(())
    }

    /// The cubin of a unit that [`Kernels::prepare`] brought.
    pub fn cubin(&self, unit: &CompileUnit) -> Result<&Arc<Cubin>, RunError> {
        self.cubins.get(unit).ok_or_else(|| RunError::MissingKernel { entry: unit.entry.clone() })
    }

    /// How many were not in the engine.
    pub fn compiled(&self) -> usize {
        self.compiled
    }

    /// All of them, to keep in an engine.
    pub fn stored(&self) -> Vec<StoredCubin> {
        let stored = |(unit, cubin): (&CompileUnit, &Arc<Cubin>)| StoredCubin {
            unit: unit.clone(),
            arch: self.arch,
            cubin: cubin.as_ref().clone(),
        };
        self.cubins.iter().map(stored).collect()
    }
}

/// The texts that kernels are compiled from, to keep in an engine.
pub fn sources_of(units: &BTreeSet<CompileUnit>) -> BTreeMap<String, String> {
    let used: BTreeSet<&str> = units.iter().map(|unit| unit.source.as_str()).collect();
    source::SOURCES
        .iter()
        .filter(|(path, _)| path.ends_with(".cuh") || used.contains(path))
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect()
}

fn program<'s>(unit: &CompileUnit, sources: Option<&'s BTreeMap<String, String>>) -> Result<Program<'s>, RunError> {
    let Some(sources) = sources else { return Ok(Program::of(unit)?) };
    let text = sources.get(&unit.source).ok_or_else(|| RunError::MissingSource { path: unit.source.clone() })?;
    let headers = sources.iter().filter(|(path, _)| path.ends_with(".cuh"));
    Ok(Program {
        name: Cow::Owned(unit.source.clone()),
        text: Cow::Borrowed(text),
        headers: headers.map(|(path, text)| (Cow::Borrowed(path.as_str()), Cow::Borrowed(text.as_str()))).collect(),
    })
}
