/** The examples' app for a stand-in that does not know the version of its bootstrapping, as a template would ask. */
import { App, DefaultStackSynthesizer, type IReusableStackSynthesizer } from "aws-cdk-lib";
import { addExamples } from "../../infra/app.ts";

const defaultStackSynthesizer = new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }) as IReusableStackSynthesizer;
addExamples(new App({ defaultStackSynthesizer }));
