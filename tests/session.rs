//! Building in memory and running, without files and without a GPU.

use limpid::builder::{BuildError, Builder, Destination};
use limpid::engine::Engine;
use limpid::input::random;
use limpid::runtime::{Backend, RunError, Session};
use limpid::shapes::{Profile, ProfileRequest, Range};
use limpid_graph::ir::Precision;
use limpid_graph::tensor::{DType, Symbol, Tensor, relative_l2};
use std::path::Path;
use std::sync::Arc;

fn mlp() -> Vec<u8> {
    let network = limpid::zoo::find("mlp").expect("it is in the zoo");
    network.build(1).expect("it can be built").model.to_bytes().expect("it can be written")
}

fn build(builder: &Builder) -> Result<Engine, BuildError> {
    builder.build_bytes(&mlp(), Path::new("mlp.onnx"), None, &mut ())
}

fn session(builder: &Builder) -> Session {
    Session::new(Arc::new(build(builder).expect("it builds")), Backend::Cpu).expect("the CPU is there")
}

fn cpu() -> Builder {
    Builder::new(Destination::Cpu)
}

#[test]
fn batches_of_any_number_give_the_answers_of_one_run() {
    let mut session = session(&cpu().profile(ProfileRequest::new().batch(Range::new(1, 1, 64).expect("in order"))));
    let inputs = [random(DType::F32, &[37, 1, 28, 28], 5)];
    let at_once = session.run(&inputs).expect("it runs");
    let mut heard = Vec::new();
    let in_batches = session.run_batches(&inputs, &mut |done| heard.push(done)).expect("it runs");
    assert_eq!(in_batches[0].shape(), [37, 10]);
    assert!(relative_l2(&in_batches[0].to_f32(), &at_once[0].to_f32()) < 1e-6);
    assert_eq!(heard, [16, 32, 37]);
}

#[test]
fn inputs_are_checked_before_anything_runs() {
    let mut session = session(&cpu());
    assert!(matches!(session.run(&[]), Err(RunError::InputCount { expected: 1, got: 0, .. })));
    for (dtype, shape) in [(DType::F16, &[1, 1, 28, 28][..]), (DType::F32, &[1, 28, 28]), (DType::F32, &[0, 1, 28, 28])]
    {
        let error = session.run(&[Tensor::zeros(dtype, shape)]).expect_err("it does not fit");
        let text = error.to_string();
        assert!(text.starts_with("input `input` must be f32(N,1,28,28), got "), "{text}");
        assert!(error.help().is_some());
    }
}

#[test]
fn latencies_are_as_many_as_were_asked_for() {
    let latency = session(&cpu()).measure(&[random(DType::F32, &[2, 1, 28, 28], 1)], 1, 12).expect("it runs");
    assert_eq!(latency.host.sorted().len(), 12);
    assert!(latency.host.min() > 0.0 && latency.device.is_none());
}

#[test]
fn precisions_round_as_they_should() {
    let inputs = [random(DType::F32, &[8, 1, 28, 28], 9)];
    let run = |precision| session(&cpu().precision(precision)).run(&inputs).expect("it runs")[0].to_f32();
    let exact = run(Precision::Fp32);
    // The CPU has no TF32; asked for it, it computes in FP32.
    assert_eq!(run(Precision::Tf32), exact);
    let error = relative_l2(&run(Precision::Fp16), &exact);
    assert!(error > 1e-5 && error <= 5e-3, "{error}");
    assert!(matches!(build(&cpu().precision(Precision::Int8)), Err(BuildError::NoCalibration { cache: None })));
}

#[test]
fn what_overflows_fp16_stays_fp32_and_the_ledger_says_so() {
    // Inputs of 1e5 cannot be stored in FP16, so the group that reads them stays as it is.
    let loud = random(DType::F32, &[1, 1, 28, 28], 2);
    let loud: Vec<f32> = loud.to_f32().iter().map(|v| v * 1e5).collect();
    let loud = Tensor::new(&[1, 1, 28, 28], loud).expect("a tensor");
    let engine = build(&cpu().precision(Precision::Fp16).samples(vec![loud])).expect("it builds");
    let refused: Vec<_> = engine.ledger.records().iter().filter(|r| r.rule == "fp16").collect();
    assert!(refused.iter().any(|r| r.detail.contains("stays FP32")), "{refused:?}");
    let quiet = build(&cpu().precision(Precision::Fp16)).expect("it builds");
    assert!(quiet.ledger.records().iter().all(|r| !r.detail.contains("stays FP32")));
}

#[test]
fn an_engine_knows_what_it_was_built_with() {
    let builder = cpu().batches(&[1, 8]).disabled_rules(&["fuse_activation".to_owned()]);
    let metadata = build(&builder).expect("it builds").metadata;
    let batch = |n: usize| Profile::new().with(Symbol::new("N"), Range::exactly(n).expect("it is not 0"));
    assert_eq!(metadata.profiles, [batch(1), batch(8)]);
    assert_eq!(metadata.opt(), batch(1).opt());
    assert_eq!((metadata.name.as_str(), metadata.precision), ("mlp", Precision::Fp32));
    assert_eq!(metadata.disabled_rules, ["fuse_activation"]);
    assert_eq!(metadata.model_hash, blake3::hash(&mlp()).to_hex().to_string());
}

#[test]
fn a_cpu_engine_has_no_plan_for_a_gpu() {
    let engine = Arc::new(build(&cpu()).expect("it builds"));
    let error = Session::new(engine, Backend::Cuda { ordinal: 0 }).expect_err("there is no plan");
    assert!(matches!(error, RunError::NoPlan), "{error}");
}
