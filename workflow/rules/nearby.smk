# A first look at real stars: the conditional method of Kalda & Green (2026) near the Sun, for a
# release with radial velocities that asks for it (conditional_potential.nearby.run).
localrules:
    measure_nearby,


rule gather_nearby:
    input:
        parts("<results>/catalogs/stars/part-{part}.parquet"),
    output:
        stars="<results>/conditional_potential/nearby/stars.parquet",
        counts="<results>/conditional_potential/nearby/counts.json",
    log:
        "<logs>/gather_nearby.log",
    benchmark:
        "<benchmarks>/gather_nearby.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(120),
    params:
        sample=NEARBY["sample"],
        code=code("gather_nearby"),
    message:
        "Gather real stars near the Sun"
    script:
        "../../scripts/gather_nearby.py"


rule train_nearby:
    input:
        "<results>/conditional_potential/nearby/stars.parquet",
    output:
        model="<results>/models/conditional_potential/nearby/velocities-{member}.h5",
        record="<results>/models/conditional_potential/nearby/velocities-{member}.json",
    log:
        "<logs>/train_nearby/{member}.log",
    benchmark:
        "<benchmarks>/train_nearby/{member}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500, per_input_mb=8),
        runtime=minutes(240),
        gpu=SETTINGS.gpus,
    params:
        velocities=NEARBY["velocities"],
        device=NEARBY["device"],
        seed=SETTINGS.seed,
        code=code("train_nearby"),
    message:
        "Learn the velocities of real stars near the Sun, member {wildcards.member}"
    script:
        "../../scripts/train_nearby.py"


rule distil_nearby:
    input:
        flow="<results>/models/conditional_potential/nearby/velocities-{member}.h5",
        stars="<results>/conditional_potential/nearby/stars.parquet",
    output:
        model="<results>/models/conditional_potential/nearby/velocities-{member}-quick.h5",
        record="<results>/models/conditional_potential/nearby/velocities-{member}-quick.json",
    log:
        "<logs>/distil_nearby/{member}.log",
    benchmark:
        "<benchmarks>/distil_nearby/{member}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500, per_input_mb=4),
        runtime=minutes(240),
        gpu=SETTINGS.gpus,
    params:
        distillation=NEARBY["distillation"],
        device=NEARBY["device"],
        radius_kpc=NEARBY["sample"]["radius_kpc"],
        seed=SETTINGS.seed,
        code=code("distil_nearby"),
    message:
        "Distil the flow of real stars near the Sun, member {wildcards.member}"
    script:
        "../../scripts/distil_nearby.py"


rule solve_nearby:
    input:
        flow="<results>/models/conditional_potential/nearby/velocities-{member}.h5",
        quick="<results>/models/conditional_potential/nearby/velocities-{member}-quick.h5",
        stars="<results>/conditional_potential/nearby/stars.parquet",
    output:
        model="<results>/models/conditional_potential/nearby/potential-{member}.h5",
        record="<results>/models/conditional_potential/nearby/potential-{member}.json",
    log:
        "<logs>/solve_nearby/{member}.log",
    benchmark:
        "<benchmarks>/solve_nearby/{member}.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000, per_input_mb=4),
        runtime=minutes(240),
        gpu=SETTINGS.gpus,
    params:
        solver=NEARBY["solver"],
        device=NEARBY["device"],
        sampling={
            "number": NEARBY["samples"],
            "uniform_share": NEARBY["uniform_share"],
        },
        radius_kpc=NEARBY["sample"]["radius_kpc"],
        sun=NEARBY["frame"],
        pattern_speed=NEARBY["pattern_speed"],
        seed=SETTINGS.seed,
        code=code("solve_nearby"),
    message:
        "Find the potential near the Sun, member {wildcards.member}"
    script:
        "../../scripts/solve_nearby.py"


rule measure_nearby:
    input:
        models=nearby_members("potential-{member}.h5"),
        records=nearby_members("potential-{member}.json"),
        stars="<results>/conditional_potential/nearby/stars.parquet",
    output:
        numbers="<results>/conditional_potential/nearby/numbers.json",
        figure="<results>/conditional_potential/data/nearby.parquet",
    log:
        "<logs>/measure_nearby.log",
    benchmark:
        "<benchmarks>/measure_nearby.tsv"
    conda:
        "../../envs/main.yaml"
    threads: 1
    resources:
        beside_head=1,
        mem_mb=memory(1500),
        runtime=minutes(30),
    params:
        nearby=NEARBY,
        seed=SETTINGS.seed,
        code=code("measure_nearby"),
    message:
        "Measure the potential near the Sun"
    script:
        "../../scripts/measure_nearby.py"
