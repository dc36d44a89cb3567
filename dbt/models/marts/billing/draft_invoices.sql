with
    periods as (select * from {{ ref("int_billing_periods") }}),

    distributors as (select * from {{ ref("stg_distributors") }}),

    sellers as (select * from {{ ref("stg_seller") }}),

    currencies as (select * from {{ ref("stg_currencies") }}),

    policies as (select * from {{ ref("stg_policies") }}),

    version_set as (select * from {{ ref("stg_version_set") }}),

    lines as (select * from {{ ref("draft_invoice_lines") }}),

    tax_rates as (select * from {{ ref("int_tax_rates") }}),

    documents as (select * from {{ ref("stg_issued_documents") }} where is_invoice),

    {# Neither in force in this currency nor cancelled: what such a period owes is a note's (R25). #}
    passed_over as (
        select periods.period, periods.distributor_id, currencies.currency
        from periods
        cross join currencies
        anti join
            documents
            on periods.period = documents.period
            and periods.distributor_id = documents.distributor_id
            and currencies.currency = documents.currency
        where periods.period < periods.run_period and (periods.is_passed_over or periods.is_issued)
    ),

    {# An invoice per currency that has lines; the distributor's own when there is none (R20, nil). #}
    currencies_of_period as (
        select distinct period, distributor_id, currency
        from lines
        union
        select periods.period, periods.distributor_id, distributors.currency
        from periods
        inner join
            distributors
            on periods.distributor_id = distributors.distributor_id
            and {{ valid_on("distributors", "periods.cutoff_on") }}
        anti join lines on periods.period = lines.period and periods.distributor_id = lines.distributor_id
    ),

    totals as (
        select
            period,
            distributor_id,
            currency,
            count(*) as line_count,
            cast(sum(amount) as decimal(18, 3)) as total_amount
        from lines
        group by period, distributor_id, currency
    ),

    drafts as (
        select
            currencies_of_period.period,
            currencies_of_period.distributor_id,
            currencies_of_period.currency,
            distributors.distributor_name,
            distributors.country,
            periods.cutoff_on,
            periods.period_starts_on,
            periods.window_starts_on,
            currencies.minor_units,
            {{ add_days("periods.cutoff_on", "periods.issue_days") }} as issue_on,
            {{ add_days("periods.cutoff_on", "periods.issue_days + distributors.payment_terms_days") }} as due_on,
            coalesce(totals.line_count, 0) as line_count,
            cast(coalesce(totals.total_amount, 0) as decimal(18, 3)) as total_amount,
            tax_rates.rate_count as tax_rate_count,
            tax_rates.tax_category,
            tax_rates.rate as tax_rate,
            tax_rates.reason as tax_reason,
            periods.is_complete,
            periods.is_issued,
            passed_over.currency is not null as is_passed_over,
            version_set.version_set_sha256,
            {{
                json_object(
                    {
                        "active_window_days": "periods.active_window_days",
                        "device_user_attribution": "periods.device_user_attribution",
                        "firewall_evidence": "periods.firewall_evidence",
                        "replaced_hardware": "periods.replaced_hardware",
                        "clock_skew_minutes": "policies.clock_skew_minutes",
                        "trial_days": "periods.trial_days",
                        "correction_periods": "periods.correction_periods",
                        "recomputed_periods": "policies.recomputed_periods",
                        "release": "policies.release",
                        "issue_days": "periods.issue_days",
                        "cutoff_day": "distributors.cutoff_day",
                    }
                )
            }} as policies,
            distributors.purchase_order,
            {{
                json_object(
                    {
                        "seller_id": "sellers.seller_id",
                        "seller_name": "sellers.seller_name",
                        "street": "sellers.street",
                        "city": "sellers.city",
                        "postal_code": "sellers.postal_code",
                        "country": "sellers.country",
                        "tax_id": "sellers.tax_id",
                        "endpoint_id": "sellers.endpoint_id",
                        "iban": "sellers.iban",
                        "contact_name": "sellers.contact_name",
                        "contact_phone": "sellers.contact_phone",
                        "contact_email": "sellers.contact_email",
                        "legal_registration": "sellers.legal_registration",
                    }
                )
            }} as seller,
            {{
                json_object(
                    {
                        "distributor_id": "distributors.distributor_id",
                        "distributor_name": "distributors.distributor_name",
                        "street": "distributors.street",
                        "city": "distributors.city",
                        "postal_code": "distributors.postal_code",
                        "country": "distributors.country",
                        "tax_id": "distributors.tax_id",
                        "endpoint_id": "distributors.endpoint_id",
                    }
                )
            }} as distributor
        from currencies_of_period
        inner join
            periods
            on currencies_of_period.period = periods.period
            and currencies_of_period.distributor_id = periods.distributor_id
        inner join
            distributors
            on currencies_of_period.distributor_id = distributors.distributor_id
            and {{ valid_on("distributors", "periods.cutoff_on") }}
        inner join currencies on currencies_of_period.currency = currencies.currency
        inner join sellers on {{ valid_on("sellers", "periods.cutoff_on") }}
        cross join policies
        cross join version_set
        left join
            tax_rates
            on currencies_of_period.period = tax_rates.period
            and currencies_of_period.distributor_id = tax_rates.distributor_id
        left join
            passed_over
            on currencies_of_period.period = passed_over.period
            and currencies_of_period.distributor_id = passed_over.distributor_id
            and currencies_of_period.currency = passed_over.currency
        left join
            totals
            on currencies_of_period.period = totals.period
            and currencies_of_period.distributor_id = totals.distributor_id
            and currencies_of_period.currency = totals.currency
    )

select
    period,
    distributor_id,
    currency,
    distributor_name,
    country,
    cutoff_on,
    period_starts_on,
    window_starts_on,
    minor_units,
    issue_on,
    due_on,
    line_count,
    total_amount,
    tax_rate_count,
    tax_category,
    tax_rate,
    tax_reason,
    {{ tax_on("total_amount", "tax_rate", "minor_units") }} as tax_amount,
    cast(total_amount + {{ tax_on("total_amount", "tax_rate", "minor_units") }} as decimal(18, 3)) as payable_amount,
    is_complete,
    is_issued,
    is_passed_over,
    version_set_sha256,
    policies,
    purchase_order,
    seller,
    distributor
from drafts
